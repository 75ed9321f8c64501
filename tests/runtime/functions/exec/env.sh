#!/bin/sh
echo "${WEIR_TEST-unset}"
