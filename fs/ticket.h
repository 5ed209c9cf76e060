/*
 * The record's answer, carried from one kernel call to the next inside the
 * same open(2).
 *
 * open(2) of a name comes as LOOKUP and then OPEN from one thread.  Where the
 * LOOKUP has asked the record, the OPEN need not ask again: the answer was
 * given after open(2) began, which is all that close-to-open wants.  But a
 * LOOKUP may have been stat(2)'s, long before.  So a LOOKUP that asked is
 * answered with no lifetime: a later open(2) has to look up again, and that
 * LOOKUP, which did not ask, takes the ticket away.
 *
 * An OPEN that finds a newer generation gives a ticket as well, and answers
 * ESTALE: the kernel looks the path up afresh and opens once more.  Without the
 * ticket an object that is replaced all the time could never be opened.
 *
 * Threads: any; RANK_FS + 3.
 */
#ifndef LAKEFUSE_FS_TICKET_H
#define LAKEFUSE_FS_TICKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct entry;
struct tickets;

enum ticket_kind { TICKET_OF_LOOKUP, TICKET_OF_OPEN };

int tickets_new(struct tickets **ret);
void tickets_free(struct tickets *tickets);

/* For the thread's next OPEN of this generation, within a moment. */
void ticket_give(struct tickets *tickets, pid_t thread, enum ticket_kind kind,
		 const struct entry *entry);

/* A LOOKUP of ino that did not ask: no earlier LOOKUP's answer counts. */
void ticket_void(struct tickets *tickets, pid_t thread, uint64_t ino);

/* Good once.  Sets *ret and returns true, or false: the record is asked. */
bool ticket_take(struct tickets *tickets, pid_t thread, uint64_t ino,
		 uint64_t generation, struct entry *ret);

/*
 * A LOOKUP that waited for a silent record until its deadline comes a second
 * time: the kernel first asks whether what it knew still holds, and after a
 * failure looks up anew.  The second one is told at once.
 */
void ticket_lost(struct tickets *tickets, pid_t thread, uint64_t dir,
		 const char *name);
bool ticket_was_lost(struct tickets *tickets, pid_t thread, uint64_t dir,
		     const char *name);

#endif
