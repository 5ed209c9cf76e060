/*
 * What the kernel has open: files and directories.
 *
 * A session can end before the kernel has closed them all (a signal, a forced
 * umount, a reader killed just before).  No RELEASE comes any more then, and
 * handles_free() ends what is left.
 *
 * Ownership: whoever adds a handle embeds struct handle in it, as its first
 * member, and removes it before ending it; drop() ends one that was left.
 *
 * Threads: any; RANK_FS + 4.  handles_free() when no request runs any more.
 */
#ifndef LAKEFUSE_FS_HANDLES_H
#define LAKEFUSE_FS_HANDLES_H

struct handles;

struct handle {
	struct handle *prev, *next;
	void (*drop)(struct handle *handle);
};

int handles_new(struct handles **ret);
void handles_free(struct handles *handles);

void handles_add(struct handles *handles, struct handle *handle,
		 void (*drop)(struct handle *handle));
void handles_remove(struct handles *handles, struct handle *handle);

#endif
