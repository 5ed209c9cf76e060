#include "meta/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "meta/meta.h"

#define HIDDEN ".lakefuse"

const char *name_odd(const char *name, size_t len)
{
	if (len == 0)
		return "an empty component (\"//\" or a leading slash)";
	if (len == 1 && name[0] == '.')
		return "a component is \".\"";
	if (len == 2 && name[0] == '.' && name[1] == '.')
		return "a component is \"..\"";
	if (len > META_NAME_MAX)
		return "a component of more than 255 bytes";
	if (memchr(name, '/', len))
		return "a slash where the listing promised none";
	return NULL;
}

int name_check(const char *name)
{
	size_t len = strlen(name);

	if (len > META_NAME_MAX)
		return -ENAMETOOLONG;
	return name_odd(name, len) ? -ENOENT : 0;
}

bool name_hidden(const char *dir_object, const char *name, size_t len)
{
	return dir_object[0] == '\0' && len == strlen(HIDDEN) &&
	       memcmp(name, HIDDEN, len) == 0;
}

int name_join(const char *dir_object, const char *name, char *ret, size_t room)
{
	int len = snprintf(ret, room, "%s%s%s", dir_object,
			   dir_object[0] ? "/" : "", name);

	return len > OBJECT_NAME_MAX || (size_t)len >= room ? -ENAMETOOLONG : 0;
}
