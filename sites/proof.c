#include "sites/proof.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * A stamp is the copier's word, a checksum is arithmetic: where both are there
 * and disagree, the checksum is believed.  A copier that stamps before it has
 * written, or stamps what it did not copy, is caught by that.
 */
enum sums { SUMS_UNKNOWN, SUMS_EQUAL, SUMS_DIFFER };

static enum sums compare_sums(const struct object_ref *ref,
			      const struct object_info *copy)
{
	unsigned both = ref->has & copy->has;

	if ((both & HAS_CRC32C) && ref->crc32c != copy->crc32c)
		return SUMS_DIFFER;
	if ((both & HAS_MD5) && memcmp(ref->md5, copy->md5, MD5_SIZE) != 0)
		return SUMS_DIFFER;
	return both ? SUMS_EQUAL : SUMS_UNKNOWN;
}

static void refuse(struct verdict *v, enum refusal refusal, const char *fmt,
		   ...) __attribute__((format(printf, 3, 4)));

static void refuse(struct verdict *v, enum refusal refusal, const char *fmt,
		   ...)
{
	va_list args;

	v->proof = PROOF_NONE;
	v->refusal = refusal;
	va_start(args, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, args);
	va_end(args);
}

static void accept_copy(struct verdict *v, enum proof proof, const char *why)
{
	v->proof = proof;
	snprintf(v->why, sizeof(v->why), "%s", why);
}

void proof_judge(const struct object_ref *ref, const struct object_info *copy,
		 struct verdict *ret)
{
	enum sums sums = compare_sums(ref, copy);

	memset(ret, 0, sizeof(*ret));
	if (copy->stamp && ref->generation && copy->stamp != ref->generation)
		refuse(ret, REFUSED_STALE,
		       "stamped %" PRIu64 ", %s than the record's %" PRIu64,
		       copy->stamp,
		       copy->stamp < ref->generation ? "older" : "newer",
		       ref->generation);
	else if (copy->size != ref->size)
		refuse(ret, REFUSED_TORN,
		       "%" PRIu64 " bytes where the record has %" PRIu64,
		       copy->size, ref->size);
	else if (sums == SUMS_DIFFER && copy->stamp)
		refuse(ret, REFUSED_CORRUPT,
		       "stamped with this generation, but its checksum differs "
		       "from the record's");
	else if (sums == SUMS_DIFFER)
		refuse(ret, REFUSED_STALE,
		       "its checksum differs from the record's");
	else if (copy->stamp && ref->generation)
		accept_copy(ret, PROOF_STAMP, "stamped with this generation");
	else if (sums == SUMS_EQUAL)
		accept_copy(ret, PROOF_CHECKSUM,
			    "size and checksum equal the record's");
	else
		refuse(ret, REFUSED_UNPROVEN,
		       "neither a stamp nor a checksum to compare");
}
