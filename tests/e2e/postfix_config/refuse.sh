# A delivery program that takes nothing. 67 is EX_NOUSER (sysexits.h).
echo 'no such user: to=<x@y>, status=sent (250 2.0.0 Ok)'
exit 67
