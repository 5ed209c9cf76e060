#include "serve/faults.h"

#include <errno.h>
#include <jansson.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"

#define MAX_FAULTS 32

enum kind { KIND_NUMBER, KIND_FLAG };

/* Every key that lands in the plan as it is. */
static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
} keys[] = {
#define NUMBER(field)                                                   \
	{                                                               \
#field, KIND_NUMBER, offsetof(struct fault_plan, field) \
	}
#define FLAG(field)                                                   \
	{                                                             \
#field, KIND_FLAG, offsetof(struct fault_plan, field) \
	}
	NUMBER(latency_ms),
	NUMBER(bandwidth_bps),
	NUMBER(drip_bps),
	NUMBER(stall_after_bytes),
	NUMBER(cut_after_bytes),
	NUMBER(flip_every),
	NUMBER(flip_at),
	NUMBER(status),
	NUMBER(retry_after_s),
	NUMBER(keep_bytes),
	FLAG(hang),
	FLAG(reset),
	FLAG(html),
	FLAG(wrong_range),
	FLAG(ignore_range),
	FLAG(wrong_generation),
	FLAG(short_body),
	FLAG(empty_pages),
	FLAG(lose_reply),
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* The keys that say which requests a fault is for. */
static const char *const choosers[] = {"match", "methods", "count",
				       "status_rate"};

struct fault {
	json_t *json; /* as it was given */
	regex_t regex;
	bool has_regex;
	int64_t left; /* -1: no end */
};

struct guarded {
	struct fault active[MAX_FAULTS];
	size_t n_active;
	uint64_t bucket_full_ns; /* when all bandwidth given out is used up */
	unsigned seed;
};

struct faults {
	struct mutex lock; /* a leaf */
	struct guarded guarded;
	atomic_bool any;
	atomic_uint_fast64_t epoch;
};

static struct guarded *held(struct faults *f) REQUIRES(f->lock)
{
	return &f->guarded;
}

struct faults *faults_new(void)
{
	struct faults *f = calloc(1, sizeof(*f));

	if (f)
		mutex_init(&f->lock, RANK_BASE);
	return f;
}

static void fault_done(struct fault *fault)
{
	json_decref(fault->json);
	if (fault->has_regex)
		regfree(&fault->regex);
}

static void drop_all(struct faults *f) REQUIRES(f->lock)
{
	struct guarded *g = held(f);

	while (g->n_active > 0)
		fault_done(&g->active[--g->n_active]);
	atomic_store(&f->any, false);
	atomic_fetch_add(&f->epoch, 1);
}

void faults_clear(struct faults *f)
{
	mutex_lock(&f->lock);
	drop_all(f);
	mutex_unlock(&f->lock);
}

void faults_free(struct faults *f)
{
	if (!f)
		return;
	faults_clear(f);
	mutex_done(&f->lock);
	free(f);
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static bool is_chooser(const char *name)
{
	for (size_t i = 0; i < sizeof(choosers) / sizeof(choosers[0]); i++)
		if (strcmp(choosers[i], name) == 0)
			return true;
	return false;
}

/* A key nobody knows would be a test that tests nothing. */
static int check(json_t *json, char *why, size_t room)
{
	const char *name;
	json_t *value;

	if (!json_is_object(json)) {
		snprintf(why, room, "a fault is an object");
		return -EINVAL;
	}
	json_object_foreach(json, name, value)
	{
		const struct key *key = find_key(name);

		if (!key && !is_chooser(name)) {
			snprintf(why, room, "no such fault: %s", name);
			return -EINVAL;
		}
		if (key && (key->kind == KIND_FLAG ? !json_is_boolean(value)
						   : !json_is_integer(value))) {
			snprintf(why, room, "%s: wrong type", name);
			return -EINVAL;
		}
	}
	return 0;
}

static void add(struct faults *f, json_t *json) REQUIRES(f->lock)
{
	struct guarded *g = held(f);
	struct fault *fault = &g->active[g->n_active++];
	json_t *match = json_object_get(json, "match");
	json_t *count = json_object_get(json, "count");

	fault->json = json_incref(json);
	fault->left = count ? json_integer_value(count) : -1;
	fault->has_regex = match && regcomp(&fault->regex,
					    json_string_value(match)
						    ? json_string_value(match)
						    : "",
					    REG_EXTENDED | REG_NOSUB) == 0;
	atomic_store(&f->any, true);
}

int faults_set(struct faults *f, const char *json, size_t n, char *ret_why,
	       size_t why_room)
{
	json_error_t error;
	json_t *root = json_loadb(json, n, 0, &error);
	json_t *list = json_is_array(root) ? json_incref(root) : json_array();
	int rc = 0;

	if (!root) {
		snprintf(ret_why, why_room, "%s", error.text);
		rc = -EINVAL;
	} else if (!json_is_array(root)) {
		json_array_append(list, root);
	}
	if (json_array_size(list) > MAX_FAULTS) {
		snprintf(ret_why, why_room, "too many faults");
		rc = -EINVAL;
	}
	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
		rc = check(json_array_get(list, i), ret_why, why_room);
	if (rc == 0) {
		mutex_lock(&f->lock);
		drop_all(f);
		for (size_t i = 0; i < json_array_size(list); i++)
			add(f, json_array_get(list, i));
		mutex_unlock(&f->lock);
	}
	json_decref(list);
	json_decref(root);
	return rc;
}

char *faults_show(struct faults *f)
{
	json_t *list = json_array();
	char *text;

	mutex_lock(&f->lock);
	for (size_t i = 0; i < held(f)->n_active; i++) {
		json_t *copy = json_copy(held(f)->active[i].json);

		if (held(f)->active[i].left >= 0)
			json_object_set_new(
				copy, "count",
				json_integer(held(f)->active[i].left));
		json_array_append_new(list, copy);
	}
	mutex_unlock(&f->lock);
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

static bool matches_method(const struct fault *fault, const char *method)
{
	json_t *methods = json_object_get(fault->json, "methods");
	json_t *value;
	size_t i;

	if (!methods)
		return true;
	json_array_foreach(methods, i,
			   value) if (json_is_string(value) &&
				      strcmp(json_string_value(value),
					     method) == 0) return true;
	return false;
}

static bool matches_text(const struct fault *fault, const char *text)
{
	const char *match =
		json_string_value(json_object_get(fault->json, "match"));

	if (!match || strstr(text, match))
		return true;
	return fault->has_regex &&
	       regexec(&fault->regex, text, 0, NULL, 0) == 0;
}

static void merge(const struct fault *fault, struct fault_plan *plan)
{
	const char *name;
	json_t *value;

	json_object_foreach(fault->json, name, value)
	{
		const struct key *key = find_key(name);
		char *field = key ? (char *)plan + key->offset : NULL;

		if (key && key->kind == KIND_NUMBER)
			*(int64_t *)(void *)field = json_integer_value(value);
		else if (key)
			*(bool *)(void *)field = json_is_true(value);
	}
	plan->any = true;
}

static bool lucky(struct guarded *g, const struct fault *fault)
{
	json_t *rate = json_object_get(fault->json, "status_rate");

	if (!rate)
		return false;
	return rand_r(&g->seed) / (RAND_MAX + 1.0) >= json_number_value(rate);
}

void faults_plan(struct faults *f, const char *method, const char *target,
		 const char *decoded, struct fault_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].kind == KIND_NUMBER)
			*(int64_t *)(void *)((char *)plan + keys[i].offset) =
				-1;
	if (!atomic_load(&f->any))
		return;
	mutex_lock(&f->lock);
	plan->epoch = atomic_load(&f->epoch);
	for (size_t i = 0; i < held(f)->n_active; i++) {
		struct fault *fault = &held(f)->active[i];

		if (fault->left == 0 || !matches_method(fault, method) ||
		    (!matches_text(fault, target) &&
		     !matches_text(fault, decoded)) ||
		    lucky(held(f), fault))
			continue;
		if (fault->left > 0)
			fault->left--;
		merge(fault, plan);
	}
	mutex_unlock(&f->lock);
}

bool faults_still(struct faults *f, const struct fault_plan *plan)
{
	return atomic_load(&f->epoch) == plan->epoch;
}

uint64_t faults_throttle(struct faults *f, int64_t bps, size_t n)
{
	uint64_t now = clock_mono_ns();
	uint64_t wait;

	if (bps <= 0)
		return 0;
	mutex_lock(&f->lock);
	if (held(f)->bucket_full_ns < now)
		held(f)->bucket_full_ns = now;
	held(f)->bucket_full_ns +=
		(uint64_t)((double)n * (double)NS_PER_S / (double)bps);
	wait = held(f)->bucket_full_ns - now;
	mutex_unlock(&f->lock);
	return wait;
}
