#include <stdlib.h>
#include <string.h>

#include "sites/sites.h"

void object_info_done(struct object_info *info)
{
	free(info->name);
	free(info->symlink);
	free(info->validator);
	memset(info, 0, sizeof(*info));
}

static const char *const refusal_names[N_REFUSALS] = {
	[REFUSED_UNPROVEN] = "unproven", [REFUSED_STALE] = "stale",
	[REFUSED_ABSENT] = "absent",	 [REFUSED_TORN] = "torn",
	[REFUSED_CHANGED] = "changed",	 [REFUSED_CORRUPT] = "corrupt",
};

const char *refusal_name(enum refusal why)
{
	return refusal_names[why];
}

const char *proof_name(enum proof proof)
{
	static const char *const names[] = {
		[PROOF_NONE] = "none",
		[PROOF_STAMP] = "stamp",
		[PROOF_CHECKSUM] = "checksum",
		[PROOF_NATIVE] = "native",
	};

	return names[proof];
}
