#!/bin/sh
# GET /sleep/{ms} or ?ms=250. Parameters of a route are variables of the environment.
ms=${WEIR_PARAM_ms:-${WEIR_QUERY#ms=}}
ms=${ms:-0}
sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
echo "slept $ms ms"
