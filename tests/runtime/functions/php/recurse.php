<?php
function recurse($depth)
{
	return recurse($depth + 1) + 1;
}
echo recurse(0);
