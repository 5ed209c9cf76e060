#include "fs/serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/op.h"
#include "fs/calls.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/request.h"
#include "fs/status.h"
#include "fs/tree.h"
#include "meta/meta.h"

/* More than run requests inline (fs/request.c), so that some always read. */
#define LOOP_THREADS 80
#define IDLE_THREADS 16
#define MAX_BACKGROUND 128

/* How often the warden looks whether the session has ended. */
#define TICK_MS 100

/* How long the notifier may take to come back from the kernel. */
#define STOP_MS 2000

static void want_if(struct fuse_conn_info *conn, unsigned capability)
{
	if (conn->capable & capability)
		conn->want |= capability;
}

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	conn->time_gran = 1;
	want_if(conn, FUSE_CAP_ASYNC_READ);
	want_if(conn, FUSE_CAP_PARALLEL_DIROPS);
	want_if(conn, FUSE_CAP_READDIRPLUS);
	want_if(conn, FUSE_CAP_READDIRPLUS_AUTO);
	want_if(conn, FUSE_CAP_SPLICE_WRITE);
	want_if(conn, FUSE_CAP_SPLICE_MOVE);
	want_if(conn, FUSE_CAP_CACHE_SYMLINKS);
	/* A node's pages never change: nothing to invalidate by mtime. */
	conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
}

static struct fuse_lowlevel_ops make_ops(void)
{
	struct fuse_lowlevel_ops ops = {
		.init = fs_init,
		.lookup = fs_lookup,
		.forget = fs_forget,
		.forget_multi = fs_forget_multi,
		.getattr = fs_getattr,
		.readlink = fs_readlink,
		.statfs = fs_statfs,
		.opendir = fs_opendir,
		.readdir = fs_readdir,
		.readdirplus = fs_readdirplus,
		.releasedir = fs_releasedir,
		.open = fs_open,
		.release = fs_release,
		.read = fs_read,
		.getxattr = fs_getxattr,
		.listxattr = fs_listxattr,
	};

	fs_refuse_writes(&ops);
	return ops;
}

/* libfuse's own complaints; the last one explains a failed mount. */
static char last_complaint[200];

static void log_libfuse(enum fuse_log_level level, const char *fmt,
			va_list args) __attribute__((format(printf, 2, 0)));

static void log_libfuse(enum fuse_log_level level, const char *fmt,
			va_list args)
{
	char line[200];
	size_t n;

	vsnprintf(line, sizeof(line), fmt, args);
	n = strlen(line);
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	if (level <= FUSE_LOG_ERR)
		strcpy(last_complaint, line);
	log_debug("libfuse: %s", line);
}

/* fsname ends at a comma for mount options. */
static void clean_name(char *to, size_t room, const char *name)
{
	size_t n = 0;

	for (; *name && n + 1 < room; name++)
		to[n++] = *name == ',' || *name == '\\' ? '_' : *name;
	to[n] = '\0';
}

static int make_session(struct op *op, struct tree *tree)
{
	struct fuse_lowlevel_ops ops = make_ops();
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char name[512], opts[700];
	int rc = 0;

	clean_name(name, sizeof(name), tree->options->record.url);
	snprintf(opts, sizeof(opts),
		 "-ofsname=%s,subtype=lakefuse,ro,default_permissions%s", name,
		 tree->options->allow_other ? ",allow_other" : "");
	if (fuse_opt_add_arg(&args, "lakefuse") < 0 ||
	    fuse_opt_add_arg(&args, opts) < 0)
		rc = op_fail(op, -ENOMEM, "no memory for mount options");
	if (rc == 0)
		tree->session =
			fuse_session_new(&args, &ops, sizeof(ops), tree);
	fuse_opt_free_args(&args);
	if (rc == 0 && !tree->session)
		rc = op_fail(op, -EIO, "libfuse: %s", last_complaint);
	return rc;
}

int serve_mount(struct op *op, struct tree *tree)
{
	int rc;

	fuse_set_log_func(log_libfuse);
	rc = make_session(op, tree);
	if (rc < 0)
		return rc;
	if (fuse_session_mount(tree->session, tree->mountpoint) < 0) {
		fuse_session_destroy(tree->session);
		tree->session = NULL;
		return op_fail(
			op, -EIO, "can't mount at %s: %s%s", tree->mountpoint,
			last_complaint[0] ? last_complaint
					  : "see fusermount3's words",
			access("/dev/fuse", R_OK | W_OK) < 0
				? "; /dev/fuse can't be opened: load the "
				  "fuse module, or give the container "
				  "the device"
				: "");
	}
	return 0;
}

static void our_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
}

void serve_block_signals(void)
{
	sigset_t set;

	our_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

struct warden {
	struct tree *tree;
	pthread_t main_thread;
	pthread_t thread;
	atomic_bool done; /* set by serve_run() at its end */
};

static void wake_nothing(int sig)
{
	(void)sig;
}

static void log_status(struct tree *tree)
{
	char *text = status_text(tree);

	log_info("status: %s", text ? text : "no memory");
	free(text);
}

/*
 * Waits for signals, and makes the end of a session quick: whoever waits for
 * a site is cancelled, again and again until the last one has left.
 */
static void *watch(void *arg)
{
	struct warden *w = arg;
	struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
	sigset_t set;

	pthread_setname_np(pthread_self(), "lf-warden");
	our_signals(&set);
	while (!atomic_load(&w->done)) {
		int sig = sigtimedwait(&set, NULL, &tick);

		if (sig == SIGUSR1) {
			log_status(w->tree);
		} else if (sig > 0) {
			log_info("ending: signal %d", sig);
			fuse_session_exit(w->tree->session);
		}
		if (fuse_session_exited(w->tree->session)) {
			requests_cancel_all(w->tree->requests);
			pthread_kill(w->main_thread, SIGUSR2);
		}
	}
	return NULL;
}

struct herald {
	struct tree *tree;
	void (*ready)(void *arg);
	void *arg;
	pthread_t thread;
	bool answered;
};

/* The first look at the tree is ours: only then is it said to be there. */
static void *announce(void *arg)
{
	struct herald *h = arg;
	struct stat st;

	pthread_setname_np(pthread_self(), "lf-herald");
	h->answered =
		stat(h->tree->mountpoint, &st) == 0 && st.st_ino == META_ROOT;
	if (h->answered)
		h->ready(h->arg);
	else
		fuse_session_exit(h->tree->session);
	return NULL;
}

static int loop(struct tree *tree)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int rc;

	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, LOOP_THREADS);
	fuse_loop_cfg_set_idle_threads(config, IDLE_THREADS);
	rc = fuse_session_loop_mt(tree->session, config);
	fuse_loop_cfg_destroy(config);
	return rc < 0 ? rc : 0;
}

/*
 * Nothing may write to the session's descriptor once it is closed: its number
 * may be another file's by then.  The notifier can be stuck in the kernel,
 * behind a lookup that nobody answers any more; ending the connection by force
 * frees it, where we may.
 */
static void unmount(struct tree *tree)
{
	op_cancel(&tree->life);
	requests_drain(tree->requests);
	if (!notifier_stop(tree->notifier, STOP_MS))
		umount2(tree->mountpoint, MNT_FORCE);
	fuse_session_unmount(tree->session);
	if (notifier_stop(tree->notifier, STOP_MS))
		return;
	log_warn("%s: the kernel holds a thread of ours; ending without it",
		 tree->mountpoint);
	_exit(0);
}

int serve_run(struct tree *tree, void (*ready)(void *arg), void *arg)
{
	struct warden warden = {.tree = tree, .main_thread = pthread_self()};
	struct herald herald = {.tree = tree, .ready = ready, .arg = arg};
	struct sigaction nothing = {.sa_handler = wake_nothing};
	bool has_herald, has_warden;
	int rc = -EAGAIN;

	sigaction(SIGUSR2, &nothing, NULL);
	has_warden = pthread_create(&warden.thread, NULL, watch, &warden) == 0;
	has_herald =
		pthread_create(&herald.thread, NULL, announce, &herald) == 0;
	if (has_herald)
		rc = loop(tree);
	unmount(tree);
	if (has_herald)
		pthread_join(herald.thread, NULL);
	atomic_store(&warden.done, true);
	if (has_warden)
		pthread_join(warden.thread, NULL);
	return rc == 0 && !herald.answered ? -EIO : rc;
}
