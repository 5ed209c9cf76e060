#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/file.h"
#include "cache/name.h"

/* One that a thread of ours may be about to rename. */
static bool is_new_temp(const char *name, const struct stat *st)
{
	size_t len = strlen(name);

	return len > 5 && strcmp(name + len - 5, ".temp") == 0 &&
	       st->st_mtim.tv_sec + 60 > time(NULL);
}

static void scan_name(int subdir, unsigned first, const char *name,
		      file_found_fn *found, void *arg)
{
	struct gen_key key;
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (fstatat(subdir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (!S_ISREG(st.st_mode) || !name_parse(name, first, &key)) {
		if (!S_ISDIR(st.st_mode) && !is_new_temp(name, &st))
			unlinkat(subdir, name, 0);
		return;
	}
	found(arg, &key, (uint64_t)st.st_blocks * 512,
	      st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
}

void file_scan(int dirfd, file_found_fn *found, bool (*stop)(void *arg),
	       void *arg)
{
	for (unsigned first = 0; first < 256; first++) {
		int fd = name_open_subdir(dirfd, first, false);
		struct dirent *e;
		DIR *dir;

		if (fd < 0)
			continue;
		dir = fdopendir(fd);
		if (!dir) {
			close(fd);
			continue;
		}
		while (!stop(arg) && (e = readdir(dir)))
			scan_name(fd, first, e->d_name, found, arg);
		closedir(dir);
	}
}
