# Completion of rnntool in fish.  For this shell: rnntool completion fish | source

function __rnntool_complete
    set -l answers (COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) _RNNTOOL_COMPLETE=fish_complete rnntool)
    for answer in $answers
        set -l parts (string split -m 1 , -- $answer)
        switch $parts[1]
            case plain
                echo $parts[2]
            case file
                __fish_complete_path (commandline -t)
            case dir
                __fish_complete_directories (commandline -t)
        end
    end
end

complete --no-files --command rnntool --arguments '(__rnntool_complete)'
