# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Programs of a newer Debian on this one: kernels from there want its compiler,
# and bring build tools that want its C library. Each program is started by its
# own dynamic loader, with its own libraries, by a script in its place; so a
# module for such a kernel is built like any other (make -C headers M=...), with
# no root file system to change into. Who sources this has packages.sh too.

# is_elf FILE
is_elf() {
	[[ $(od -An -N 4 -t x1 "$1") == ' 7f 45 4c 46' ]]
}

# own_loader ROOT HOME DIR...: gives each program below ROOT/DIR the loader and
# the libraries in HOME/newtools, where ROOT is going to be HOME.
own_loader() {
	local root=$1 home=$2 file tools=$2/newtools/usr
	shift 2
	find "${@/#/$root/}" -type f -perm -100 ! -name '*.so*' | while read -r file; do
		is_elf "$file" || continue
		mv "$file" "$file.elf"
		cat >"$file" <<TEXT
#!/bin/sh
exec '$tools/lib64/ld-linux-x86-64.so.2' --argv0 "\$0" \\
	--library-path '$tools/lib/x86_64-linux-gnu' '$home${file#"$root"}.elf' "\$@"
TEXT
		chmod 755 "$file"
	done
}

# What no module is built with; it is most of the size.
drop_unused() { # DIR
	rm -rf "${1:?}/usr/share"
	find "$1" \( -name '*.a' -o -name 'lto1' -o -name '*-lto-dump-*' -o -name 'lib*san.so*' \) -delete
}

# newtools ROOT HOME COMPILER KBUILD: the unpacked kernel in ROOT, which is going
# to be HOME, gets the compiler of that package, and all that KBUILD's need.
newtools() {
	local dir=$1/newtools bin=$2/newtools/usr/bin of
	for of in bin lib lib64 sbin; do # where packages may still have them
		mkdir -p "$dir/usr/$of"
		ln -s "usr/$of" "$dir/$of"
	done
	unpack_closure "$dir" "$3" "$4"
	rm -rf "$dir"/usr/src "$dir"/usr/lib/linux-kbuild-*
	drop_unused "$dir"
	own_loader "$1" "$2" newtools "usr/lib/$4"
	# The compiler looks for it beside itself before it takes the machine's.
	ln -s "$bin/x86_64-linux-gnu-as" "$(echo "$dir"/usr/libexec/gcc/x86_64-linux-gnu/*)/as"
	sed -i "s|^override CROSS_COMPILE = |&$bin/|; \$a override PAHOLE = $bin/pahole" \
		"$1"/usr/src/linux-headers-*/.kernelvariables
}
