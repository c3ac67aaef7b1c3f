# Read-only: what the host says of itself. A host that is compromised may lie.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
part() { printf '\n===== %s =====\n' "$1"; shift; timeout 30 "$@" 2>&1 | head -n 20000; }
part 'time' date -u +%Y-%m-%dT%H:%M:%SZ
part 'system' uname -a
part 'uptime' uptime
part 'processes' ps -eo pid,ppid,user,lstart,etime,stat,args --sort=start_time
part 'executables of processes' sh -c 'ls -l /proc/[0-9]*/exe'
part 'working directories of processes' sh -c 'ls -l /proc/[0-9]*/cwd'
part 'deleted files that are still open' sh -c 'ls -l /proc/[0-9]*/fd | grep -F "(deleted)"'
part 'sockets' sh -c 'ss -anp || netstat -anp'
part 'addresses' ip address
part 'routes' ip route
part 'neighbours' ip neighbour
part 'firewall' sh -c 'nft list ruleset || iptables-save'
part 'names' cat /etc/hosts /etc/resolv.conf
part 'logged-in users' who -a
part 'last logins' last -Fwn 200
part 'failed logins' lastb -Fwn 200
part 'accounts' cat /etc/passwd
part 'groups' cat /etc/group
part 'authorized keys' sh -c 'ls -l /root/.ssh /home/*/.ssh; cat /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys'
part 'cron' sh -c 'ls -l /etc/cron* /var/spool/cron; cat /etc/crontab /etc/cron.d/* /var/spool/cron/* /var/spool/cron/crontabs/*'
part 'timers' systemctl list-timers --all --no-pager
part 'services' systemctl list-units --type=service --all --no-pager
part 'unit files' sh -c 'ls -lt /etc/systemd/system /run/systemd/system'
part 'kernel modules' cat /proc/modules
part 'preloaded libraries' cat /etc/ld.so.preload
part 'mounts' cat /proc/mounts
part 'disk usage' df -Pk
part 'temporary files' ls -laR /tmp /var/tmp /dev/shm
part 'files changed in two days' find / -xdev -type f -mtime -2 -not -path '/proc/*' -not -path '/sys/*' -printf '%TY-%Tm-%TdT%TT %s %u %m %p\n'
part 'setuid files' find / -xdev -type f -perm -4000 -printf '%TY-%Tm-%TdT%TT %s %u %m %p\n'
part 'containers' sh -c 'docker ps --all --no-trunc || crictl ps --all || podman ps --all --no-trunc'
part 'journal of a day' sh -c 'journalctl --since=-1d --no-pager --lines=5000'
exit 0
