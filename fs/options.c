#include "fs/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"
#include "meta/meta.h"

#define SITE(field) offsetof(struct site_config, field)
#define CACHE(field) offsetof(struct cache_options, field)
#define MOUNT(field) offsetof(struct mount_options, field)

#define SITE_SETTINGS                                                         \
	{.key = "url",                                                        \
	 .type = SETTING_STRING,                                              \
	 .offset = SITE(url),                                                 \
	 .help = "gs://bucket[/prefix], s3://bucket[/prefix] or "             \
		 "file:///directory",                                         \
	 .required = true},                                                   \
		{.key = "endpoint",                                           \
		 .type = SETTING_STRING,                                      \
		 .offset = SITE(endpoint),                                    \
		 .help = "https://host[:port] instead of the service's own"}, \
		{.key = "region",                                             \
		 .type = SETTING_STRING,                                      \
		 .offset = SITE(region),                                      \
		 .help = "S3: the region requests are signed for",            \
		 .standard = "us-east-1"},                                    \
		{.key = "credentials",                                        \
		 .type = SETTING_STRING,                                      \
		 .offset = SITE(credentials),                                 \
		 .help = "adc, anonymous, or the path of a token or keys "    \
			 "file",                                              \
		 .standard = "adc"},                                          \
		{.key = "stamp",                                              \
		 .type = SETTING_STRING,                                      \
		 .offset = SITE(stamp),                                       \
		 .help = "header or xattr in which the copier leaves the "    \
			 "record's "                                          \
			 "generation"},                                       \
		{.key = "ca_file",                                            \
		 .type = SETTING_PATH,                                        \
		 .offset = SITE(ca_file),                                     \
		 .help = "PEM bundle to verify TLS with, instead of the "     \
			 "system's"},                                         \
		{.key = "user_project",                                       \
		 .type = SETTING_STRING,                                      \
		 .offset = SITE(user_project),                                \
		 .help = "GCS: the project that pays for a requester-pays "   \
			 "bucket"},                                           \
		{.key = "path_style",                                         \
		 .type = SETTING_BOOL,                                        \
		 .offset = SITE(path_style),                                  \
		 .help = "S3: bucket in the path, not in the host name",      \
		 .standard = "true"},                                         \
	{                                                                     \
		.key = "connections", .type = SETTING_UNSIGNED,               \
		.offset = SITE(connections),                                  \
		.help = "connections for data, at most", .standard = "16",    \
		.min = 1, .max = 256                                          \
	}

static const struct setting record_settings[] = {SITE_SETTINGS, {0}};

static const struct setting replica_settings[] = {
	{.key = "name",
	 .type = SETTING_STRING,
	 .offset = SITE(name),
	 .help = "what messages and `here` call it",
	 .required = true},
	SITE_SETTINGS,
	{0}};

static const struct setting cache_settings[] = {
	{.key = "size",
	 .type = SETTING_SIZE,
	 .offset = CACHE(size_bytes),
	 .help = "local disk for cached blocks, at most",
	 .standard = "10GiB",
	 .min = 1 << 20,
	 .max = 1e18},
	{.key = "memory",
	 .type = SETTING_SIZE,
	 .offset = CACHE(memory_bytes),
	 .help = "memory for blocks on their way, whatever is open",
	 .standard = "48MiB",
	 .min = 8 << 20,
	 .max = 1e15},
	{.key = "read_ahead",
	 .type = SETTING_SIZE,
	 .offset = CACHE(read_ahead_bytes),
	 .help = "read ahead of one sequential reader, at most; 0: never",
	 .standard = "32MiB",
	 .min = 0,
	 .max = 1e12},
	{.key = "fetches",
	 .type = SETTING_UNSIGNED,
	 .offset = CACHE(fetches),
	 .help = "fetches under way at once, at most",
	 .standard = "32",
	 .min = 2,
	 .max = 512},
	{0}};

static const char *const class_names[] = {"strict", "open", "immutable",
					  "bounded", NULL};

static const struct setting class_settings[] = {
	{.key = "match",
	 .type = SETTING_STRING,
	 .offset = offsetof(struct class_option, match),
	 .help = "glob on the path; ** crosses directories",
	 .required = true},
	{.key = "class",
	 .type = SETTING_CHOICE,
	 .offset = offsetof(struct class_option, class),
	 .choices = class_names,
	 .required = true,
	 .help = "how fresh names and opens there have to be"},
	{.key = "seconds",
	 .type = SETTING_UNSIGNED,
	 .offset = offsetof(struct class_option, seconds),
	 .help = "bounded: how old an answer may be",
	 .standard = "60",
	 .max = 31536000},
	{0}};

static const struct setting guard_settings[] = {
	{.key = "match",
	 .type = SETTING_STRING,
	 .offset = offsetof(struct guard_option, match),
	 .help = "glob of names that are written once",
	 .required = true},
	{0}};

static const char *const loss_names[] = {"fail", "serve-last-known", NULL};
static const char *const namespace_names[] = {"record", "union", NULL};
static const char *const integrity_names[] = {"standard", "full", NULL};
static const char *const level_names[] = {"error", "warn", "info", "debug",
					  NULL};

const struct setting mount_settings[] = {
	{.key = "record",
	 .type = SETTING_GROUP,
	 .offset = MOUNT(record),
	 .members = record_settings,
	 .help = "the system of record"},
	{.key = "replicas",
	 .type = SETTING_LIST,
	 .offset = MOUNT(replicas),
	 .members = replica_settings,
	 .item_size = sizeof(struct site_config),
	 .count_offset = MOUNT(n_replicas),
	 .max_items = SITES_MAX - 1,
	 .help = "where copies of its objects may be"},
	{.key = "here",
	 .type = SETTING_STRING,
	 .offset = MOUNT(here),
	 .help = "the site this host stands at, until latency is measured"},
	{.key = "state",
	 .type = SETTING_PATH,
	 .offset = MOUNT(state),
	 .help = "directory of catalogue, cache and spool; one mount holds it"},
	{.key = "cache",
	 .type = SETTING_GROUP,
	 .offset = MOUNT(cache),
	 .members = cache_settings,
	 .help = "the block cache"},
	{.key = "classes",
	 .type = SETTING_LIST,
	 .offset = MOUNT(classes),
	 .members = class_settings,
	 .item_size = sizeof(struct class_option),
	 .count_offset = MOUNT(n_classes),
	 .max_items = 1000,
	 .help = "freshness rules; the first match wins, presets come after"},
	{.key = "guards",
	 .type = SETTING_LIST,
	 .offset = MOUNT(guards),
	 .members = guard_settings,
	 .item_size = sizeof(struct guard_option),
	 .count_offset = MOUNT(n_guards),
	 .max_items = 1000,
	 .help = "names that are written once, besides the table formats'"},
	{.key = "on_record_loss",
	 .type = SETTING_CHOICE,
	 .offset = MOUNT(on_record_loss),
	 .choices = loss_names,
	 .standard = "fail",
	 .help = "opens while the record does not answer"},
	{.key = "namespace",
	 .type = SETTING_CHOICE,
	 .offset = MOUNT(namespace),
	 .choices = namespace_names,
	 .standard = "record",
	 .help = "union: show what only replicas have"},
	{.key = "integrity",
	 .type = SETTING_CHOICE,
	 .offset = MOUNT(integrity),
	 .choices = integrity_names,
	 .standard = "standard",
	 .help = "full: check every object before its first byte is given"},
	{.key = "verify_whole",
	 .type = SETTING_SIZE,
	 .offset = MOUNT(verify_whole_bytes),
	 .standard = "1MiB",
	 .max = 1 << 28,
	 .help = "objects up to this are checked before the first byte"},
	{.key = "names_ttl",
	 .type = SETTING_TIME,
	 .offset = MOUNT(names_ttl_ns),
	 .standard = "1s",
	 .max = 86400,
	 .help = "class open: how old names and attributes may be"},
	{.key = "op_timeout",
	 .type = SETTING_TIME,
	 .offset = MOUNT(op_timeout_ns),
	 .standard = "30s",
	 .min = 0.1,
	 .max = 3600,
	 .help = "the deadline of every file call"},
	{.key = "first_byte_timeout",
	 .type = SETTING_TIME,
	 .offset = MOUNT(first_byte_ns),
	 .standard = "1.5s",
	 .min = 0.01,
	 .max = 600,
	 .help = "no answer for so long: the next copy"},
	{.key = "stall_timeout",
	 .type = SETTING_TIME,
	 .offset = MOUNT(stall_ns),
	 .standard = "1.5s",
	 .min = 0.01,
	 .max = 600,
	 .help = "under 16 KiB in so long: the next copy"},
	{.key = "uid",
	 .type = SETTING_UNSIGNED,
	 .offset = MOUNT(uid),
	 .help = "owner shown for every file; the mounting user"},
	{.key = "gid",
	 .type = SETTING_UNSIGNED,
	 .offset = MOUNT(gid),
	 .help = "group shown for every file; the mounting user's"},
	{.key = "umask",
	 .type = SETTING_OCTAL,
	 .offset = MOUNT(umask),
	 .standard = "022",
	 .help = "permissions taken away, octal"},
	{.key = "allow_other",
	 .type = SETTING_BOOL,
	 .offset = MOUNT(allow_other),
	 .standard = "false",
	 .help = "let other users in (needs user_allow_other in "
		 "/etc/fuse.conf unless root)"},
	{.key = "ro",
	 .type = SETTING_BOOL,
	 .offset = MOUNT(ro),
	 .standard = "true",
	 .help = "read-only; this version always is"},
	{.key = "log",
	 .type = SETTING_STRING,
	 .offset = MOUNT(log),
	 .help = "a file, or syslog; foreground: stderr, daemon: syslog"},
	{.key = "log_level",
	 .type = SETTING_CHOICE,
	 .offset = MOUNT(log_level),
	 .choices = level_names,
	 .standard = "info",
	 .help = "what is logged"},
	{.key = "unsafe",
	 .type = SETTING_STRING,
	 .offset = MOUNT(unsafe),
	 .help = "protections turned off to prove a test; never for data"},
	{0}};

static bool is_url(const char *lake)
{
	return strstr(lake, "://") != NULL;
}

static int take_url(struct op *op, const char *lake, struct mount_options *into)
{
	if (strncmp(lake, "gs://", 5) != 0)
		return op_fail(op, -EINVAL,
			       "%s: the record is a GCS bucket: use "
			       "gs://bucket[/prefix], or a lake.yaml",
			       lake);
	return config_set(op, mount_settings, "record.url", lake, into);
}

/* One of "key=value" and "key", which means true. */
static int take_option(struct op *op, char *option, struct mount_options *into)
{
	char *value = strchr(option, '=');
	int rc;

	if (value)
		*value++ = '\0';
	rc = config_set(op, mount_settings, option, value, into);
	return rc == -ENOENT ? -EINVAL : rc; /* it says which was meant */
}

/*
 * What fstab holds for mount(8) itself, for systemd and for kinds of mounts
 * that a FUSE file system always is, or never can be.
 */
static bool is_ignored(const char *option)
{
	static const char *const words[] = {
		"defaults",   "rw",	"auto",	    "noauto",  "user",
		"nouser",     "users",	"owner",    "group",   "_netdev",
		"nofail",     "dev",	"nodev",    "suid",    "nosuid",
		"exec",	      "noexec", "atime",    "noatime", "relatime",
		"norelatime", "async",	"lazytime", "silent",  NULL,
	};

	for (int i = 0; words[i]; i++)
		if (strcmp(option, words[i]) == 0)
			return true;
	return option[0] == '\0' || strncmp(option, "x-", 2) == 0 ||
	       strncmp(option, "X-", 2) == 0 ||
	       strncmp(option, "comment=", 8) == 0;
}

static int take_options(struct op *op, const char *opts,
			struct mount_options *into)
{
	auto_free char *copy = strdup(opts);
	char *rest = copy;
	char *option;
	int rc = copy ? 0 : op_fail(op, -ENOMEM, "no memory for -o");

	while (rc == 0 && (option = strsep(&rest, ",")))
		if (!is_ignored(option))
			rc = take_option(op, option, into);
	return rc;
}

/* /var/lib for root, the user's cache directory else; named by the bucket. */
static int default_state(struct op *op, struct mount_options *into)
{
	const char *home = getenv("HOME");
	const char *cache = getenv("XDG_CACHE_HOME");
	char path[PATH_MAX];
	char *slug = into->record.url + strcspn(into->record.url, ":") + 3;
	int n;

	if (into->state)
		return 0;
	if (geteuid() == 0)
		n = snprintf(path, sizeof(path), "/var/lib/lakefuse/%s", slug);
	else if (cache && *cache)
		n = snprintf(path, sizeof(path), "%s/lakefuse/%s", cache, slug);
	else
		n = snprintf(path, sizeof(path), "%s/.cache/lakefuse/%s",
			     home ? home : "/tmp", slug);
	if (n < 0 || (size_t)n >= sizeof(path))
		return op_fail(op, -ENAMETOOLONG, "state: give a directory");
	for (char *p = path + (n - (int)strlen(slug)); *p; p++)
		if (*p == '/')
			*p = '_';
	into->state = strdup(path);
	return into->state ? 0 : op_fail(op, -ENOMEM, "no memory for state");
}

static int name_sites(struct op *op, struct mount_options *into)
{
	free(into->record.name);
	into->record.name = strdup("record");
	if (!into->record.name)
		return op_fail(op, -ENOMEM, "no memory for the record's name");
	if (!into->record.url)
		return op_fail(op, -EINVAL,
			       "record.url is missing: say gs://bucket");
	for (unsigned i = 0; i < into->n_replicas; i++) {
		const char *name = into->replicas[i].name;

		for (unsigned j = 0; j < i; j++)
			if (strcmp(into->replicas[j].name, name) == 0)
				return op_fail(op, -EINVAL,
					       "replicas: two are called %s",
					       name);
		if (strcmp(name, "record") == 0)
			return op_fail(op, -EINVAL,
				       "replicas: `record` is the record's "
				       "name; choose another");
	}
	return 0;
}

int options_load(struct op *op, const char *lake, const char *opts,
		 struct mount_options *into)
{
	int rc = config_defaults(op, mount_settings, into);

	into->uid = UID_UNSET;
	into->gid = UID_UNSET;
	if (rc == 0)
		rc = is_url(lake) ? take_url(op, lake, into)
				  : config_read(op, mount_settings, lake, into);
	if (rc == 0 && opts)
		rc = take_options(op, opts, into);
	if (rc == 0)
		rc = name_sites(op, into);
	if (rc == 0)
		rc = default_state(op, into);
	return rc;
}

void options_done(struct mount_options *options)
{
	free(options->record.name);
	options->record.name = NULL;
	config_done(mount_settings, options);
}

static const struct {
	const char *name;
	unsigned bit;
} unsafe_bits[] = {
	{"proof", UNSAFE_NO_PROOF},	  {"validator", UNSAFE_NO_VALIDATOR},
	{"failover", UNSAFE_NO_FAILOVER}, {"crc", UNSAFE_NO_CRC},
	{"pin", UNSAFE_NO_PIN},
};

int options_unsafe(struct op *op, const struct mount_options *options,
		   unsigned *ret_bits)
{
	auto_free char *copy = NULL;
	char *rest, *word;

	*ret_bits = 0;
	if (!options->unsafe)
		return 0;
	rest = copy = strdup(options->unsafe);
	while (copy && (word = strsep(&rest, ",+ "))) {
		size_t i, n = sizeof(unsafe_bits) / sizeof(unsafe_bits[0]);

		for (i = 0; i < n; i++)
			if (strcmp(word, unsafe_bits[i].name) == 0)
				break;
		if (i == n)
			return op_fail(op, -EINVAL, "unsafe: %s is unknown",
				       word);
		*ret_bits |= unsafe_bits[i].bit;
	}
	return 0;
}

void options_lake(const struct mount_options *o, unsigned unsafe,
		  struct lake_config *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sites[SITE_RECORD] = o->record;
	for (unsigned i = 0; i < o->n_replicas; i++)
		ret->sites[1 + i] = o->replicas[i];
	ret->n_sites = 1 + o->n_replicas;
	ret->here = o->here;
	ret->remember_dir = o->state;
	ret->stall_ns = o->stall_ns;
	ret->first_byte_ns = o->first_byte_ns;
	ret->unsafe = unsafe & 255;
}
