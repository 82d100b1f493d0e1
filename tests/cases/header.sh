# header.sh COMPILER LANGUAGE INCLUDE FILE STANDARD... - the header compiles, without a
# warning, for each standard, and as a system header or not.
set -eu
compiler=$1 language=$2 include=$3 file=$4
shift 4
for standard in "$@"; do
	# Its macros for the number of arguments are C99's.
	pedantic=-pedantic
	case $standard in gnu89 | gnu++98) pedantic= ;; esac
	"$compiler" -x "$language" -std="$standard" -fsyntax-only -Wall -Wextra -Wcast-qual -Wwrite-strings $pedantic \
		-Werror -D_GNU_SOURCE -I "$include" "$file"
done
