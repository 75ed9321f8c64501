#!/bin/sh
echo "{\"parent\":\"$WEIR_PARENT_ID\"}"
