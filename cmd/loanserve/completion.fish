# Completion of loanserve for fish:  loanserve completion fish | source
function __loanserve_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l program $words[1]
  set -e words[1]
  $program complete -- $words "$current" 2>/dev/null | while read -l line
    if test "$line" = :files
      __fish_complete_path "$current"
    else
      echo $line
    end
  end
end
complete -c loanserve -f -a '(__loanserve_complete)'
