# Needs: $Kind $ToolBucket $ToolKey $ToolSha256 $EvidenceBucket $ImageKey, assigned above.
$ErrorActionPreference = 'Stop'
if (-not (Get-Command Read-S3Object -ErrorAction SilentlyContinue)) { exit 40 }
$work = Join-Path $env:SystemRoot ("Temp\irrunner." + [Guid]::NewGuid().ToString('N'))
New-Item -ItemType Directory -Path $work | Out-Null
try {
    $memory = (Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory
    if ((Get-PSDrive ($work.Substring(0, 1))).Free -le $memory) { exit 41 }
    try { Read-S3Object -BucketName $ToolBucket -Key $ToolKey -File "$work\tool.exe" | Out-Null } catch { exit 42 }
    if ((Get-FileHash -Algorithm SHA256 "$work\tool.exe").Hash -ne $ToolSha256) { exit 43 }
    & "$work\tool.exe" "$work\image"
    if (-not (Test-Path "$work\image")) { exit 44 }
    Get-FileHash -Algorithm SHA256 "$work\image" | Format-List
    try { Write-S3Object -BucketName $EvidenceBucket -Key $ImageKey -File "$work\image" } catch { exit 45 }
}
finally { Remove-Item -Recurse -Force $work }
exit 0
