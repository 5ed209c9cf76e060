#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"
#include "sites/s3_keys.h"

static struct op op;

static void key_files_are_read_in_both_forms(void **state UNUSED)
{
	static const struct {
		const char *text, *id, *token;
	} cases[] = {
		{"ID\nSECRET\n", "ID", ""},
		{"# ours\n\nID\r\nSECRET\r\nTOKEN", "ID", "TOKEN"},
		{"[other]\naws_access_key_id=no\n[default]\nregion=x\n"
		 "aws_access_key_id = ID\naws_secret_access_key = SECRET\n"
		 "aws_session_token=T==\n",
		 "ID", "T=="},
		{"aws_access_key_id=ID\naws_secret_access_key=SECRET\n", "ID",
		 ""},
		{"", NULL, NULL},
		{"ID\n", NULL, NULL},
		{"ID\nSECRET\nTOKEN\nmore\n", NULL, NULL},
		{"ID with blanks\nSECRET\n", NULL, NULL},
		{"[other]\naws_access_key_id=ID\n", NULL, NULL},
		{"[default]\nnonsense\n", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		auto_free char *text = strdup(cases[i].text);
		struct s3_key key;

		if (!cases[i].id) {
			assert_int_equal(s3_key_parse(text, &key), -EINVAL);
			continue;
		}
		assert_int_equal(s3_key_parse(text, &key), 0);
		assert_string_equal(key.id, cases[i].id);
		assert_string_equal(key.secret, "SECRET");
		assert_string_equal(key.token, cases[i].token);
	}
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void a_key_file_others_can_read_is_refused(void **state UNUSED)
{
	char path[] = "/tmp/lakefuse-keys-XXXXXX";
	struct s3_keys *keys;

	close(mkstemp(path));
	write_file(path, "ID\nSECRET\n", 0640);
	op_init(&op, 0);
	assert_int_equal(s3_keys_open(&op, path, &keys), -EACCES);
	assert_non_null(strstr(op.why, "chmod 600"));
	assert_null(strstr(op.why, "SECRET"));
	unlink(path);
	op_init(&op, 0);
	assert_int_equal(s3_keys_open(&op, path, &keys), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files_are_read_in_both_forms),
		cmocka_unit_test(a_key_file_others_can_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
