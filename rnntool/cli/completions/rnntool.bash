# Completion of rnntool in bash 4.4 and later.  For this shell: eval "$(rnntool completion bash)"

_rnntool() {
    local kind word
    COMPREPLY=()
    while IFS=, read -r kind word; do
        case $kind in
            plain) COMPREPLY+=("$word") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _RNNTOOL_COMPLETE=bash_complete "$1")
}

complete -o nosort -F _rnntool rnntool
