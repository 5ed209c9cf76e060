#include "cli/json.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/term.h"

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t json_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value)
				      : (int64_t)json_number_value(value);
}

bool json_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

char *json_safe(const json_t *object, const char *key)
{
	return term_safe(json_text(object, key));
}

json_t *json_answer(const char *answer, const char *what)
{
	json_t *root = json_loads(answer, 0, NULL);

	if (!json_is_object(root)) {
		cli_failed("%s: the daemon's answer makes no sense; is it of "
			   "another version?",
			   what);
	} else if (json_object_get(root, "error")) {
		cli_failed("%s: %s", what, json_text(root, "error"));
	} else {
		return root;
	}
	json_decref(root);
	return NULL;
}
