#compdef loanserve
# Completion of loanserve for zsh:  source <(loanserve completion zsh)
# after compinit, or as a file _loanserve in a directory of $fpath.
_loanserve() {
  local line files
  local -a found
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      files=1
    elif [[ $line == *$'\t'* ]]; then
      found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    else
      found+=("${line//:/\\:}")
    fi
  done < <("${words[1]/#\~/$HOME}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  [[ -n $files ]] && _files
  (( $#found )) && _describe loanserve found
}
compdef _loanserve loanserve
