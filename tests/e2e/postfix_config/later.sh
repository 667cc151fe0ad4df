# A delivery program that takes mail once there is a file. 75 is EX_TEMPFAIL (sysexits.h).
test -e @config@/later.ready && exit 0
echo 'come again: to=<x@y>, status=sent (250 2.0.0 Ok)'
exit 75
