#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/op.h"
#include "cache/cache.h"
#include "fs/control.h"
#include "fs/fs.h"
#include "fs/handles.h"
#include "fs/node.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/request.h"
#include "fs/serve.h"
#include "fs/state.h"
#include "fs/status.h"
#include "fs/ticket.h"
#include "fs/tree.h"
#include "meta/meta.h"

/*
 * Everything is wired here, and nowhere else: the lake, the catalogue and the
 * cache know each other only by what this file hands them.
 */

/* How long the record may take to say that it is there. */
#define CHECK_NS (20 * NS_PER_S)
#define PROGRESS_MS 2000

static int fetch(struct op *op, void *arg, const struct object_ref *ref,
		 struct read_part *part)
{
	struct tree *tree = arg;

	return lake_read(op, tree->lake, ref, part);
}

static void drop_pages(void *arg, uint64_t node_id)
{
	notify_pages(arg, node_id);
}

/* Bytes that proved wrong may sit in the kernel's page cache as well. */
static void wrong_bytes(void *arg, const struct object_ref *ref, unsigned sites)
{
	struct tree *tree = arg;

	lake_quarantine(tree->lake, ref, sites);
	node_each_of(tree->nodes, ref->generation, drop_pages, tree->notifier);
}

static void name_changed(void *arg, uint64_t parent, const char *name)
{
	struct tree *tree = arg;

	notify_name(tree->notifier, parent, name);
}

/* P7 holds over a remount, too, where there is a catalogue to serve from. */
static bool may_start_without(const struct tree *tree, int rc)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/meta.db", tree->options->state);
	return tree->options->on_record_loss == LOSS_SERVE_LAST_KNOWN &&
	       (rc == -EAGAIN || rc == -EPROTO || rc == -ETIMEDOUT) &&
	       access(path, F_OK) == 0;
}

static int open_lake(struct op *op, struct tree *tree)
{
	struct lake_config config;
	int rc;

	options_lake(tree->options, tree->unsafe, &config);
	rc = lake_new(op, &config, &tree->lake);
	if (rc < 0)
		return rc;
	rc = lake_check(op, tree->lake);
	if (rc < 0 && may_start_without(tree, rc)) {
		log_warn("%s; going on with what is last known", op->why);
		op_forgive(op);
		rc = 0;
	}
	return rc;
}

static int open_meta(struct op *op, struct tree *tree, const char *lake_id)
{
	const struct mount_options *o = tree->options;
	auto_free struct class_rule *rules =
		calloc(o->n_classes + 1, sizeof(*rules));
	char path[PATH_MAX];
	struct meta_config config = {
		.path = path,
		.classes = rules,
		.n_classes = o->n_classes,
		.names_ttl_ns = o->names_ttl_ns,
		.serve_last_known = o->on_record_loss == LOSS_SERVE_LAST_KNOWN,
		.namespace_union = o->namespace == NAMESPACE_UNION,
		.changed = name_changed,
		.arg = tree,
	};

	if (!rules)
		return op_fail(op, -ENOMEM, "no memory for the classes");
	for (unsigned i = 0; i < o->n_classes; i++)
		rules[i] = (struct class_rule){
			.match = o->classes[i].match,
			.class = (enum freshness)o->classes[i].class,
			.seconds = o->classes[i].seconds,
		};
	snprintf(path, sizeof(path), "%s/meta.db", o->state);
	return meta_open(op, &config, lake_id, tree->lake, &tree->meta);
}

static int open_cache(struct op *op, struct tree *tree, const char *lake_id)
{
	const struct mount_options *o = tree->options;
	char dir[PATH_MAX];
	struct cache_config config = {
		.dir = dir,
		.lake_id = lake_id,
		.size_bytes = o->cache.size_bytes,
		.memory_bytes = o->cache.memory_bytes,
		.read_ahead_bytes = o->cache.read_ahead_bytes,
		.verify_whole = o->verify_whole_bytes,
		.integrity_full = o->integrity == INTEGRITY_FULL,
		.check_crc = !(tree->unsafe & UNSAFE_NO_CRC),
		.n_fetchers = o->cache.fetches,
		.fetch_timeout_ns = o->op_timeout_ns,
	};
	struct cache_source source = {fetch, wrong_bytes, tree};

	snprintf(dir, sizeof(dir), "%s/cache", o->state);
	return cache_open(op, &config, &source, &tree->cache);
}

static int open_rooms(struct op *op, struct tree *tree)
{
	const struct site_config *record = &tree->options->record;
	char lake_id[OBJECT_NAME_MAX + 512];
	int rc = 0;

	snprintf(lake_id, sizeof(lake_id), "%s@%s", record->url,
		 record->endpoint ? record->endpoint : "");
	if (nodes_new(&tree->nodes) < 0 || tickets_new(&tree->tickets) < 0 ||
	    handles_new(&tree->handles) < 0 ||
	    notifier_new(tree, &tree->notifier) < 0 ||
	    requests_new(tree, &tree->requests) < 0)
		rc = op_fail(op, -ENOMEM, "no memory, or no threads left");
	if (rc == 0)
		rc = open_lake(op, tree);
	if (rc == 0)
		rc = open_meta(op, tree, lake_id);
	if (rc == 0)
		rc = open_cache(op, tree, lake_id);
	return rc;
}

/* From the top down: who calls goes before who is called. */
static void close_rooms(struct tree *tree)
{
	requests_free(tree->requests);
	handles_free(tree->handles);
	if (tree->cache)
		cache_close(tree->cache);
	if (tree->meta)
		meta_close(tree->meta);
	lake_free(tree->lake);
	notifier_free(tree->notifier);
	if (tree->session)
		fuse_session_destroy(tree->session);
	nodes_free(tree->nodes);
	tickets_free(tree->tickets);
}

struct readiness {
	struct tree *tree;
	int fd; /* where a daemon's parent waits; -1: foreground */
	bool to_syslog;
};

static void redirect_stdio(void)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void tree_is_ready(void *arg)
{
	struct readiness *r = arg;

	if (r->fd >= 0 && r->to_syslog)
		log_open("syslog", (enum log_level)r->tree->options->log_level);
	log_info("%s is mounted at %s", r->tree->lake_name,
		 r->tree->mountpoint);
	if (r->fd < 0)
		return;
	redirect_stdio();
	/* It stays open: its number must not become another file's. */
	if (write(r->fd, "ok", 2) < 0)
		log_warn("the mount command has gone");
}

static int serve_tree(struct op *op, struct tree *tree, int ready_fd)
{
	struct readiness ready = {
		.tree = tree,
		.fd = ready_fd,
		.to_syslog = !tree->options->log,
	};
	struct control *control = NULL;
	int rc = open_rooms(op, tree);

	if (rc == 0)
		rc = control_start(op, tree->control_path, status_answer, tree,
				   &control);
	if (rc == 0)
		rc = serve_mount(op, tree);
	if (rc == 0) {
		rc = serve_run(tree, tree_is_ready, &ready);
		log_info("%s is unmounted", tree->mountpoint);
		if (rc < 0)
			op_fail(op, rc, "the FUSE session ended: %s",
				strerror(-rc));
	}
	control_stop(control);
	close_rooms(tree);
	return rc;
}

static int check_mountpoint(struct op *op, const char *path, char *ret_real)
{
	struct stat st;

	if (!realpath(path, ret_real) || stat(ret_real, &st) < 0)
		return op_fail(op, errno == ENOTCONN ? -EBUSY : -errno,
			       errno == ENOTCONN
				       ? "%s: a dead mount is in the way: "
					 "`lakefuse umount` it first"
				       : "%s: no such directory to mount at; "
					 "make it first",
			       path);
	if (!S_ISDIR(st.st_mode))
		return op_fail(op, -ENOTDIR, "%s is no directory", path);
	return 0;
}

/*
 * Hundreds of threads may allocate, and a heap for each would cost memory.
 * Replies and listings are some 100 KiB: mapped and unmapped each time, as the
 * allocator would do by itself, they cost more in page faults than in work.
 */
static void keep_heap(void)
{
	mallopt(M_ARENA_MAX, 4);
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

static int run_here(struct op *op, const struct mount_call *call,
		    const struct mount_options *options, const char *mountpoint,
		    int ready_fd)
{
	char control_path[PATH_MAX];
	auto_close int lock_fd = -1;
	struct tree tree = {
		.options = options,
		.lake_name = call->lake,
		.mountpoint = mountpoint,
		.control_path = control_path,
		.uid = options->uid == UID_UNSET ? getuid() : options->uid,
		.gid = options->gid == UID_UNSET ? getgid() : options->gid,
		.mounted_ns = clock_wall_ns(),
		.started_ns = clock_mono_ns(),
	};
	int rc = options_unsafe(op, options, &tree.unsafe);

	op_init(&tree.life, 0);
	if (rc == 0)
		rc = state_lock(op, options->state, mountpoint, &lock_fd);
	if (rc < 0)
		return rc;
	snprintf(control_path, sizeof(control_path), "%s/control",
		 options->state);
	if (options->log || ready_fd < 0)
		log_open(options->log, (enum log_level)options->log_level);
	serve_block_signals();
	/* Tokens are in memory: no core file, no debugger of the same user. */
	prctl(PR_SET_DUMPABLE, 0);
	keep_heap();
	return serve_tree(op, &tree, ready_fd);
}

/* The daemon's life; its first failure goes to the parent, as one line. */
static void run_daemon(const struct mount_call *call,
		       const struct mount_options *options,
		       const char *mountpoint, int fd)
{
	struct op op;
	int rc;

	op_init(&op, CHECK_NS);
	setsid();
	if (chdir("/") < 0)
		_exit(1);
	rc = run_here(&op, call, options, mountpoint, fd);
	if (rc < 0)
		dprintf(fd, "%s", op.why);
	_exit(rc < 0 ? 1 : 0);
}

/* What the daemon says: "ok", or why not. */
static int await_daemon(struct op *op, const struct mount_call *call, int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	char words[sizeof(op->why)];
	ssize_t n;

	while (poll(&poll_fd, 1, PROGRESS_MS) == 0)
		if (call->progress)
			call->progress("waiting for the record");
	n = read(fd, words, sizeof(words) - 1);
	words[n > 0 ? n : 0] = '\0';
	if (strcmp(words, "ok") == 0)
		return 0;
	return op_fail(op, -EIO, "%s",
		       words[0] ? words : "the daemon ended without a word");
}

static int run_in_background(struct op *op, const struct mount_call *call,
			     const struct mount_options *options,
			     const char *mountpoint)
{
	int pipe_fds[2];
	pid_t pid;
	int rc;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return op_fail(op, -errno, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return op_fail(op, -errno, "fork: %s", strerror(errno));
	if (pid == 0) {
		close(pipe_fds[0]);
		run_daemon(call, options, mountpoint, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	rc = await_daemon(op, call, pipe_fds[0]);
	close(pipe_fds[0]);
	if (rc < 0)
		waitpid(pid, NULL, 0);
	return rc;
}

int fs_mount(struct op *op, const struct mount_call *call)
{
	struct mount_options options = {0};
	char mountpoint[PATH_MAX];
	int rc = options_load(op, call->lake, call->opts, &options);

	if (rc == 0)
		rc = check_mountpoint(op, call->mountpoint, mountpoint);
	if (rc == 0 && call->foreground)
		rc = run_here(op, call, &options, mountpoint, -1);
	else if (rc == 0)
		rc = run_in_background(op, call, &options, mountpoint);
	options_done(&options);
	return rc;
}

void fs_mount_help(void)
{
	config_help(mount_settings);
}
