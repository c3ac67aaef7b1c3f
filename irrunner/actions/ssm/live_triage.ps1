# Read-only: what the host says of itself. A host that is compromised may lie.
$ErrorActionPreference = 'Continue'
function Part([string]$Title, [scriptblock]$Ask) { "`n===== $Title ====="; & $Ask 2>&1 | Select-Object -First 20000 | Out-String -Width 400 }
Part 'time' { [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ') }
Part 'system' { Get-CimInstance Win32_OperatingSystem | Format-List Caption, Version, LastBootUpTime }
Part 'processes' { Get-CimInstance Win32_Process | Sort-Object CreationDate | Format-Table ProcessId, ParentProcessId, CreationDate, ExecutablePath, CommandLine -AutoSize }
Part 'TCP connections' { Get-NetTCPConnection | Sort-Object State | Format-Table -AutoSize OwningProcess, State, LocalAddress, LocalPort, RemoteAddress, RemotePort, CreationTime }
Part 'UDP endpoints' { Get-NetUDPEndpoint | Format-Table -AutoSize OwningProcess, LocalAddress, LocalPort }
Part 'addresses' { Get-NetIPAddress | Format-Table -AutoSize InterfaceAlias, IPAddress }
Part 'name cache' { Get-DnsClientCache | Format-Table -AutoSize Entry, Data }
Part 'hosts' { Get-Content "$env:SystemRoot\System32\drivers\etc\hosts" }
Part 'logged-in users' { quser }
Part 'local users' { Get-LocalUser | Format-Table -AutoSize Name, Enabled, LastLogon, PasswordLastSet }
Part 'local administrators' { Get-LocalGroupMember -SID S-1-5-32-544 | Format-Table -AutoSize }
Part 'services' { Get-CimInstance Win32_Service | Format-Table -AutoSize Name, State, StartMode, StartName, PathName }
Part 'scheduled tasks' { Get-ScheduledTask | ForEach-Object { "$($_.TaskPath)$($_.TaskName) $($_.State) $($_.Actions.Execute) $($_.Actions.Arguments)" } }
Part 'run keys' { Get-ItemProperty 'HKLM:\Software\Microsoft\Windows\CurrentVersion\Run*', 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Run*' }
Part 'drivers' { driverquery /v /fo csv }
Part 'modules of processes' { Get-Process | ForEach-Object { $p = $_; $p.Modules | ForEach-Object { "$($p.Id) $($_.FileName)" } } }
Part 'WMI consumers' { Get-CimInstance -Namespace root\subscription -ClassName __EventConsumer }
Part 'shares' { Get-SmbShare; Get-SmbSession }
Part 'files changed in two days' { Get-ChildItem C:\ -Recurse -File -Force -ErrorAction SilentlyContinue | Where-Object LastWriteTimeUtc -gt ([DateTime]::UtcNow.AddDays(-2)) | ForEach-Object { "$($_.LastWriteTimeUtc.ToString('s')) $($_.Length) $($_.FullName)" } }
Part 'logons of a day' { Get-WinEvent -FilterHashtable @{ LogName = 'Security'; Id = 4624, 4625, 4672, 4720; StartTime = (Get-Date).AddDays(-1) } -MaxEvents 2000 | Format-List TimeCreated, Id, Message }
exit 0
