#!/bin/sh
# The least that a program can do. What is no JSON is answered as {"result":"pong\n"}.
echo pong
