package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// bashWithoutPackage is put behind the script that cobra makes for bash. It replaces
// two of its parts:
//
// The words of the line. The script takes them from the bash-completion package; where
// that is not loaded, bash's own are put together again, which it cuts at = and :.
//
// The answer. Bash replaces only what stands behind the last = or :, so that what
// stands in front of it would be there twice.
const bashWithoutPackage = `
__millrace_init_completion()
{
    COMPREPLY=()
    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        _get_comp_words_by_ref "$@" cur prev words cword
        return
    fi
    local i word rest="${COMP_LINE:0:COMP_POINT}" next last=""
    words=()
    cword=-1
    for ((i = 0; i <= COMP_CWORD; i++)); do
        next="${rest#"${rest%%[![:space:]]*}"}"
        word="${COMP_WORDS[i]}"
        if ((i == COMP_CWORD)); then
            word="$next" # up to the cursor
        fi
        if ((i > 0)) && [[ $next == "$rest" && ($word == [=:]* || $last == [=:]*) ]]; then
            words[cword]+="$word"
        else
            words[++cword]="$word"
        fi
        last="$word"
        rest="${next#"$word"}"
    done
    cur="${words[cword]}"
    prev=""
    if ((cword > 0)); then
        prev="${words[cword - 1]}"
    fi
}

__millrace_complete()
{
    __start_millrace
    local cur prev words cword i front
    local replies=("${COMPREPLY[@]}")
    __millrace_init_completion -n =:
    if [[ $cur == -*=* ]]; then
        cur="${cur#*=}"
    fi
    front="${cur%"${cur##*["=:"]}"}"
    COMPREPLY=()
    for i in "${!replies[@]}"; do
        COMPREPLY[i]="${replies[i]#"$front"}"
    done
}

if [[ $(type -t compopt) = "builtin" ]]; then
    complete -o default -F __millrace_complete millrace
else
    complete -o default -o nospace -F __millrace_complete millrace
fi
`

// completeBash makes ` + "`millrace completion bash`" + `, a command below c, print a script that
// does not need the bash-completion package.
func completeBash(c *cobra.Command) {
	for _, bash := range c.Commands() {
		if bash.Name() != "bash" {
			continue
		}
		bash.Long = `Print a script that completes commands, flags and their values in bash, with or
without the bash-completion package. To load it into this shell:

	source <(millrace completion bash)

Put this line into ~/.bashrc to have it in every shell; where the package is
installed, the script may go into its directory instead:

	millrace completion bash > /etc/bash_completion.d/millrace`
		bash.RunE = func(c *cobra.Command, _ []string) error {
			plain, err := c.Flags().GetBool("no-descriptions")
			if err != nil {
				return err
			}
			if err := c.Root().GenBashCompletionV2(c.OutOrStdout(), !plain); err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), bashWithoutPackage)
			return err
		}
	}
}
