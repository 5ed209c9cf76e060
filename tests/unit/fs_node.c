/* What fs/node.h promises. */
#include "fs/node.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/cmocka.h"

static struct entry entry_of(const char *name, uint64_t ino,
			     uint64_t generation)
{
	struct entry e = {.ino = ino,
			  .parent = META_ROOT,
			  .kind = ENTRY_FILE,
			  .generation = generation,
			  .size = 10};

	snprintf(e.object, sizeof(e.object), "%s", name);
	return e;
}

static uint64_t get(struct nodes *t, struct entry e)
{
	e.name = e.object;
	return node_get(t, &e);
}

static void a_new_generation_is_a_new_node_of_the_same_ino(void **state UNUSED)
{
	struct node_view one, two;
	struct nodes *t;
	uint64_t id1, id2;

	assert_int_equal(nodes_new(&t), 0);
	id1 = get(t, entry_of("f", 7, 1));
	id2 = get(t, entry_of("f", 7, 2));
	assert_true(id1 != id2);
	assert_true(node_view(t, id1, &one));
	assert_true(node_view(t, id2, &two));
	assert_int_equal(one.ino, two.ino);
	assert_int_equal(one.generation, 1);
	nodes_free(t);
}

static void the_same_generation_is_the_same_node(void **state UNUSED)
{
	struct nodes *t;

	assert_int_equal(nodes_new(&t), 0);
	assert_int_equal(get(t, entry_of("f", 7, 1)),
			 get(t, entry_of("f", 7, 1)));
	nodes_free(t);
}

static void a_node_goes_with_its_last_lookup(void **state UNUSED)
{
	struct node_view view;
	struct nodes *t;
	uint64_t id;

	assert_int_equal(nodes_new(&t), 0);
	id = get(t, entry_of("f", 7, 1));
	get(t, entry_of("f", 7, 1));
	node_forget(t, id, 1);
	assert_true(node_view(t, id, &view));
	node_forget(t, id, 1);
	assert_false(node_view(t, id, &view));
	assert_int_equal(node_count(t), 1); /* the root */
	nodes_free(t);
}

static void a_node_id_is_never_used_again(void **state UNUSED)
{
	struct nodes *t;
	uint64_t id;

	assert_int_equal(nodes_new(&t), 0);
	id = get(t, entry_of("f", 7, 1));
	node_forget(t, id, 1);
	assert_true(get(t, entry_of("f", 7, 1)) != id);
	nodes_free(t);
}

static void names_the_kernel_holds_are_known(void **state UNUSED)
{
	struct nodes *t;
	uint64_t id;

	assert_int_equal(nodes_new(&t), 0);
	assert_int_equal(node_holder(t, META_ROOT, "f"), 0);
	id = get(t, entry_of("f", 7, 1));
	assert_int_equal(node_holder(t, META_ROOT, "f"), 1);
	assert_int_equal(node_holder(t, META_ROOT, "g"), 0);
	node_forget(t, id, 1);
	assert_int_equal(node_holder(t, META_ROOT, "f"), 0);
	nodes_free(t);
}

static void the_root_is_never_forgotten(void **state UNUSED)
{
	struct nodes *t;

	assert_int_equal(nodes_new(&t), 0);
	node_forget(t, 1, 1000);
	assert_int_equal(node_dir(t, 1), META_ROOT);
	nodes_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_new_generation_is_a_new_node_of_the_same_ino),
		cmocka_unit_test(the_same_generation_is_the_same_node),
		cmocka_unit_test(a_node_goes_with_its_last_lookup),
		cmocka_unit_test(a_node_id_is_never_used_again),
		cmocka_unit_test(names_the_kernel_holds_are_known),
		cmocka_unit_test(the_root_is_never_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
