/* The object-store catalog: versions, hint, races, and every state protocol.md 5 calls an error. */
#include "connectors/catalog/catalog.h"

#include "memory_store.h"

#include "commits.h"

#define FOLDER "bronze/t/metadata/"

static struct weir_context context;
static struct memory_store memory;
static struct weir_object_store store;
static struct weir_catalog catalog;
static struct weir_error error;

static void setup(void)
{
    weir_context_init(&context);
    memory_init(&memory, &store);
    cr_assert_eq(weir_catalog_object_store_new(&context, &store, &catalog, &error), WEIR_OK);
}

static void teardown(void)
{
    catalog.operations->free(catalog.self);
    memory_done(&memory);
    cr_assert_eq(atomic_load(&context.memory.used), 0);
    weir_context_done(&context);
}

TestSuite(object_catalog, .init = setup, .fini = teardown);

static const char *content(const char *name)
{
    struct memory_object *object = memory_find(&memory, name);
    return object ? object->data : "";
}

/* A catalog that knows nothing yet: another process. */
static void restart(void)
{
    catalog.operations->free(catalog.self);
    cr_assert_eq(weir_catalog_object_store_new(&context, &store, &catalog, &error), WEIR_OK);
}

/* bronze.t with `versions` versions; snapshot ids 1, 2, ... */
static void build(int versions)
{
    struct weir_table *table, *next;
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK, "%s", error.text);
    for (int i = 2; i <= versions; i++) {
        cr_assert_eq(append(&catalog, table, i, &next, &error), WEIR_OK, "%s", error.text);
        weir_table_free(table);
        table = next;
    }
    weir_table_free(table);
}

static weir_status load_head(int64_t *ret_head)
{
    struct weir_table *table;
    WEIR_TRY(catalog.operations->load(catalog.self, "bronze.t", &table, &error));
    *ret_head = head_of(table);
    weir_table_free(table);
    return WEIR_OK;
}

static void expect_head(int64_t want)
{
    int64_t head;
    cr_assert_eq(load_head(&head), WEIR_OK, "%s", error.text);
    cr_assert_eq(head, want, "head is %lld", (long long)head);
}

static void expect_corrupt(const char *word)
{
    int64_t head;
    cr_assert_eq(load_head(&head), WEIR_CORRUPT);
    cr_assert_not_null(strstr(error.text, word), "%s", error.text);
}

Test(object_catalog, versions_are_made_one_after_another)
{
    struct weir_table *table;
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error),
                 WEIR_NOT_FOUND);
    build(12);
    cr_assert_str_eq(content(FOLDER "version-hint.text"), "12");
    expect_head(12);
    restart();
    expect_head(12);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK);
    cr_assert_str_eq(table->metadata_location, "s3://lake/wh/" FOLDER "v12.metadata.json");
    weir_table_free(table);
}

Test(object_catalog, two_writers_of_one_base_exactly_one_wins)
{
    struct weir_catalog other;
    struct weir_table *mine, *theirs, *next = NULL, *won;
    build(1);
    cr_assert_eq(weir_catalog_object_store_new(&context, &store, &other, &error), WEIR_OK);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &mine, &error), WEIR_OK);
    cr_assert_eq(other.operations->load(other.self, "bronze.t", &theirs, &error), WEIR_OK);
    cr_assert_eq(append(&other, theirs, 20, &won, &error), WEIR_OK);
    cr_assert_eq(append(&catalog, mine, 21, &next, &error), WEIR_PRECONDITION);
    cr_assert_null(next);
    expect_head(20); /* found without the hint, from what was seen before */
    weir_table_free(won);
    weir_table_free(mine);
    weir_table_free(theirs);
    other.operations->free(other.self);
}

struct racer {
    pthread_t thread;
    int wins;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    struct weir_table *table, *next;
    for (int done = 0; done < 5;) {
        if (catalog.operations->load(catalog.self, "bronze.t", &table, NULL) != WEIR_OK)
            return NULL;
        weir_status status = append(&catalog, table, (int64_t)(weir_random_u64(&context) >> 1),
                                    &next, NULL);
        weir_table_free(table);
        if (status == WEIR_OK) {
            weir_table_free(next);
            racer->wins++;
        }
        done += status == WEIR_OK;
    }
    return NULL;
}

Test(object_catalog, threads_lose_no_commit)
{
    struct racer racers[4] = {0};
    struct weir_table *table;
    build(1);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(racers[i].thread, NULL);
        cr_assert_eq(racers[i].wins, 5);
    }
    restart();
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK, "%s",
                 error.text);
    cr_assert_str_eq(table->pointer_token, "21");
    cr_assert_eq(weir_metadata_last_sequence_number(table->metadata), 21);
    weir_table_free(table);
}

Test(object_catalog, unknown_outcomes_are_said_and_not_hidden)
{
    struct weir_table *table, *next = NULL;
    build(1);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK);
    memory.fail_name = "v2.metadata.json";
    memory.fail_status = WEIR_UNKNOWN_OUTCOME;
    memory.fail_done = true;
    cr_assert_eq(append(&catalog, table, 2, &next, &error), WEIR_UNKNOWN_OUTCOME);
    cr_assert_null(next);
    expect_head(2);
    cr_assert_eq(append(&catalog, table, 2, &next, &error), WEIR_PRECONDITION,
                 "the same again cannot land twice");
    weir_table_free(table);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK);
    context.effects.kill_at = atomic_load(&context.effects.count) + 1;
    context.effects.kill_mode = 'l';
    cr_assert_eq(append(&catalog, table, 3, &next, &error), WEIR_UNKNOWN_OUTCOME);
    context.effects.kill_at = 0;
    weir_table_free(table);
    expect_head(3);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK);
    memory.fail_name = "v4.metadata.json";
    memory.fail_status = WEIR_UNAVAILABLE;
    memory.fail_done = false;
    cr_assert_eq(append(&catalog, table, 4, &next, &error), WEIR_UNAVAILABLE);
    weir_table_free(table);
    expect_head(3);
}

Test(object_catalog, the_hint_is_mended_and_never_trusted)
{
    static const char *const hints[] = {
        "1", "2\n", "", "nonsense", "-4", "0", "99999999999999999999"};
    build(3);
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        restart();
        memory_set(&memory, FOLDER "version-hint.text", hints[i], strlen(hints[i]));
        expect_head(3);
        cr_assert_str_eq(content(FOLDER "version-hint.text"), "3");
    }
    restart();
    memory_remove(&memory, FOLDER "version-hint.text");
    expect_head(3);
    cr_assert_str_eq(content(FOLDER "version-hint.text"), "3");
    memory.fail_name = "version-hint";
    memory.fail_status = WEIR_UNAVAILABLE;
    struct weir_table *table, *next;
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK);
    cr_assert_eq(append(&catalog, table, 4, &next, &error), WEIR_OK,
                 "a hint that fails fails no commit");
    weir_table_free(next);
    weir_table_free(table);
    expect_head(4);
}

Test(object_catalog, gaps_are_errors)
{
    build(4);
    memory_set(&memory, FOLDER "version-hint.text", "9", 1);
    restart();
    expect_corrupt("gap");
    memory_set(&memory, FOLDER "version-hint.text", "4", 1);
    memory_remove(&memory, FOLDER "v3.metadata.json");
    restart();
    expect_corrupt("gap");
}

Test(object_catalog, a_gap_above_what_this_process_saw)
{
    build(2);
    expect_head(2);
    memory_set(&memory, FOLDER "v4.metadata.json", content(FOLDER "v2.metadata.json"),
               strlen(content(FOLDER "v2.metadata.json")));
    expect_corrupt("gap");
}

Test(object_catalog, the_current_version_is_gone)
{
    build(2);
    memory_remove(&memory, FOLDER "v2.metadata.json");
    expect_corrupt("gap");
    restart();
    expect_corrupt("gap"); /* the hint says 2 */
}

Test(object_catalog, tombstones_below_are_fine_and_above_are_errors)
{
    build(4);
    memory_set(&memory, FOLDER "v1.metadata.json", WEIR_CATALOG_TOMBSTONE,
               strlen(WEIR_CATALOG_TOMBSTONE));
    memory_set(&memory, FOLDER "v2.metadata.json", WEIR_CATALOG_TOMBSTONE,
               strlen(WEIR_CATALOG_TOMBSTONE));
    restart();
    expect_head(4);
    memory_set(&memory, FOLDER "v3.metadata.json", WEIR_CATALOG_TOMBSTONE,
               strlen(WEIR_CATALOG_TOMBSTONE));
    restart();
    expect_head(4);
    memory_set(&memory, FOLDER "v5.metadata.json", WEIR_CATALOG_TOMBSTONE,
               strlen(WEIR_CATALOG_TOMBSTONE));
    expect_corrupt("tombstone");
    restart();
    expect_corrupt("tombstone");
    memory_remove(&memory, FOLDER "v5.metadata.json");
    memory_set(&memory, FOLDER "v4.metadata.json", WEIR_CATALOG_TOMBSTONE,
               strlen(WEIR_CATALOG_TOMBSTONE));
    restart();
    expect_corrupt("tombstone");
    struct weir_table *table;
    cr_assert_eq(create_table(&catalog, "bronze.t", 9, &table, &error), WEIR_PRECONDITION,
                 "its name is not free again");
}

/* Replaces `from` by `to` (same length) in an object. */
static void edit(const char *name, const char *from, const char *to)
{
    char *at = strstr(memory_find(&memory, name)->data, from);
    cr_assert_not_null(at);
    memcpy(at, to, strlen(to));
}

static char *uuid_at(const char *name)
{
    return strstr(memory_find(&memory, name)->data, "\"table-uuid\":\"") + 14;
}

Test(object_catalog, another_uuid_is_an_error)
{
    build(2);
    expect_head(2);
    uuid_at(FOLDER "v2.metadata.json")[0] = uuid_at(FOLDER "v2.metadata.json")[0] == 'a' ? 'b'
                                                                                         : 'a';
    expect_corrupt("uuid");
    restart();
    expect_corrupt("uuid"); /* the version before has another one */
}

Test(object_catalog, a_log_that_does_not_name_its_predecessor_is_an_error)
{
    build(3);
    edit(FOLDER "v3.metadata.json", "v2.metadata.json", "v1.metadata.json");
    expect_corrupt("metadata-log");
    restart();
    expect_corrupt("metadata-log");
}

Test(object_catalog, created_only_where_no_table_was)
{
    struct weir_table *table;
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK);
    weir_table_free(table);
    cr_assert_eq(create_table(&catalog, "bronze.t", 2, &table, &error), WEIR_PRECONDITION);
    static const char *const remains[] = {"bronze/a/metadata/version-hint.text",
                                          "bronze/b/metadata/v7.metadata.json",
                                          "bronze/c/metadata/00000-x.metadata.json"};
    for (int i = 0; i < 3; i++) {
        char name[] = {'b', 'r', 'o', 'n', 'z', 'e', '.', (char)('a' + i), '\0'};
        memory_set(&memory, remains[i], "x", 1);
        cr_assert_eq(create_table(&catalog, name, 2, &table, &error), WEIR_REFUSED, "%s", name);
    }
    memory_set(&memory, "bronze/d/metadata/snap-1.avro", "x", 1);
    cr_assert_eq(create_table(&catalog, "bronze.d", 2, &table, &error), WEIR_OK,
                 "litter of an attempt that died is no table: %s", error.text);
    weir_table_free(table);
    memory.fail_name = "bronze/e/metadata/v1.metadata.json";
    memory.fail_status = WEIR_UNKNOWN_OUTCOME;
    memory.fail_done = true;
    cr_assert_eq(create_table(&catalog, "bronze.e", 2, &table, &error), WEIR_UNKNOWN_OUTCOME);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.e", &table, &error), WEIR_OK, "%s",
                 error.text);
    weir_table_free(table);
}

Test(object_catalog, tables_are_listed)
{
    struct weir_arena arena;
    struct weir_table *table;
    char **names;
    size_t count;
    static const char *const made[] = {"silver.b", "bronze.z", "bronze.a"};
    weir_arena_init(&arena, &context.memory);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(create_table(&catalog, made[i], 1, &table, &error), WEIR_OK);
        weir_table_free(table);
    }
    build(3);
    cr_assert_eq(catalog.operations->list(catalog.self, "", &arena, &names, &count, &error),
                 WEIR_OK);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(names[0], "bronze.a");
    cr_assert_str_eq(names[1], "bronze.t");
    cr_assert_str_eq(names[3], "silver.b");
    cr_assert_eq(catalog.operations->list(catalog.self, "silver", &arena, &names, &count, &error),
                 WEIR_OK);
    cr_assert_eq(count, 1);
    weir_arena_done(&arena);
}

Test(object_catalog, documents_that_are_none)
{
    build(2);
    struct memory_object *object = memory_find(&memory, FOLDER "v2.metadata.json");
    for (size_t size = 0; size < object->size; size += 7) {
        int64_t head;
        object->size = size;
        cr_assert_neq(load_head(&head), WEIR_OK, "%zu bytes", size);
        cr_assert_neq(error.status, WEIR_NOT_FOUND);
    }
}

/* Memory that ends anywhere: a status, no leak, and a table that is as it was or one version on. */
Test(object_catalog, memory_that_ends_anywhere)
{
    build(2);
    weir_status status = WEIR_NO_MEMORY;
    for (size_t limit = 64; status != WEIR_OK; limit += 997) {
        struct weir_context small;
        struct weir_catalog other;
        struct weir_table *table, *next;
        weir_context_init(&small);
        small.memory.limit = limit;
        status = weir_catalog_object_store_new(&small, &store, &other, &error);
        if (status == WEIR_OK) {
            status = other.operations->load(other.self, "bronze.t", &table, &error);
            if (status == WEIR_OK) {
                status = append(&other, table, (int64_t)limit, &next, &error);
                if (status == WEIR_OK)
                    weir_table_free(next);
                weir_table_free(table);
            }
            other.operations->free(other.self);
        }
        cr_assert(status == WEIR_OK || status == WEIR_NO_MEMORY, "%s", error.text);
        cr_assert_eq(atomic_load(&small.memory.used), 0, "limit %zu leaks", limit);
        weir_context_done(&small);
        cr_assert_lt(limit, 10u << 20);
    }
    int64_t head;
    cr_assert_eq(load_head(&head), WEIR_OK, "%s", error.text);
}
