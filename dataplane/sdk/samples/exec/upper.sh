#!/bin/sh
# The body in capitals: any filter is a function.
exec tr '[:lower:]' '[:upper:]'
