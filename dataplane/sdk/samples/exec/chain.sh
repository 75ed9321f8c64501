#!/bin/sh
# Calls the function `hello` with its own body and wraps the answer:
#
#   {"called":"hello","status":200,"answer":{"message":"Hello, world!"}}
#
# ?function=NAME calls NAME instead. With ?one-way=1 nobody waits: status is 202, and NAME runs after this answer.
name=hello one_way=
for item in $(echo "$WEIR_QUERY" | tr '&' ' '); do
	case $item in
	function=*) name=${item#function=} ;;
	one-way=*) one_way=--one-way ;;
	esac
done

# The status on the first line, then the answer. weir-call fails when the status is none of 200 to 299; here that
# is to be told, too.
reply=$(weir-call "$name" --status --type application/json $one_way -d @-) || [ $? -eq 1 ] || exit 1
status=$(printf '%s\n' "$reply" | head -n 1) # not echo, which takes the backslashes out of JSON
printf '{"called":"%s","status":%s,"answer":%s}\n' "$name" "$status" "$(printf '%s\n' "$reply" | tail -n +2)"
