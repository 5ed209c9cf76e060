/*
 * The catalogue's tables, as a list of steps forward.
 *
 * A file at PRAGMA user_version N has seen the first N steps.  A step, once
 * released, never changes; a new layout is a new step at the end.
 *
 * Threads: any; constants.
 */
#ifndef LAKEFUSE_META_SCHEMA_H
#define LAKEFUSE_META_SCHEMA_H

extern const char *const schema_steps[];
extern const int schema_version; /* how many steps there are */

#endif
