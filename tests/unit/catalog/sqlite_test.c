/* The SQLite catalog: one pointer, races between processes, lost answers, other people's rows. */
#include "connectors/catalog/catalog.h"

#include "memory_store.h"

#include "commits.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

static struct weir_context context;
static struct memory_store memory;
static struct weir_object_store store;
static struct weir_catalog catalog;
static struct weir_error error;
static char path[64];

static void setup(void)
{
    weir_context_init(&context);
    memory_init(&memory, &store);
    strcpy(path, "/tmp/weir-catalog-XXXXXX");
    close(mkstemp(path));
    cr_assert_eq(weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog, &error), WEIR_OK,
                 "%s", error.text);
}

static void teardown(void)
{
    catalog.operations->free(catalog.self);
    memory_done(&memory);
    unlink(path);
    cr_assert_eq(atomic_load(&context.memory.used), 0);
    weir_context_done(&context);
}

TestSuite(sqlite_catalog, .init = setup, .fini = teardown);

/* One value of the database, as text. */
static void query(const char *sql, char out[512])
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(database));
    out[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
        snprintf(out, 512, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

Test(sqlite_catalog, a_table_is_made_loaded_and_moved_on)
{
    struct weir_table *table, *again, *next;
    char first[512], text[512];
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.inventory", &table, &error),
                 WEIR_NOT_FOUND);
    cr_assert_eq(create_table(&catalog, "bronze.inventory", 11, &table, &error), WEIR_OK, "%s",
                 error.text);
    cr_assert_str_eq(weir_metadata_location(table->metadata), "s3://lake/wh/bronze/inventory");
    cr_assert_eq(
        strncmp(table->metadata_location, "s3://lake/wh/bronze/inventory/metadata/00000-", 45), 0,
        "%s", table->metadata_location);
    cr_assert_eq(memory.settles, 1, "settled before the pointer");
    query("SELECT metadata_location FROM iceberg_tables WHERE catalog_name = 'weir' AND "
          "table_namespace = 'bronze' AND table_name = 'inventory' AND iceberg_type = 'TABLE'",
          first);
    cr_assert_str_eq(first, table->metadata_location);
    query("SELECT property_key || property_value FROM iceberg_namespace_properties WHERE "
          "catalog_name = 'weir' AND namespace = 'bronze'",
          text);
    cr_assert_str_eq(text, "existstrue");

    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.inventory", &again, &error),
                 WEIR_OK, "%s", error.text);
    cr_assert_eq(append(&catalog, again, 12, &next, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(head_of(next), 12);
    cr_assert_eq(
        strncmp(next->metadata_location, "s3://lake/wh/bronze/inventory/metadata/00001-", 45), 0);
    query("SELECT previous_metadata_location FROM iceberg_tables", text);
    cr_assert_str_eq(text, first);
    const json_t *log = json_object_get(weir_metadata_document(next->metadata), "metadata-log");
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(log, 0), "metadata-file")),
                     first);
    weir_table_free(next);
    weir_table_free(again);
    weir_table_free(table);
}

Test(sqlite_catalog, the_second_creator_and_the_second_writer_are_told)
{
    struct weir_table *table, *next, *other = NULL;
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK);
    cr_assert_eq(create_table(&catalog, "bronze.t", 2, &other, &error), WEIR_PRECONDITION);
    cr_assert_eq(append(&catalog, table, 3, &next, &error), WEIR_OK);
    cr_assert_eq(append(&catalog, table, 4, &other, &error), WEIR_PRECONDITION, "the base is old");
    cr_assert_null(other);
    weir_table_free(table);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &table, &error), WEIR_OK);
    cr_assert_eq(head_of(table), 3);
    weir_table_free(table);
    weir_table_free(next);
}

Test(sqlite_catalog, names_and_lists)
{
    static const char *const bad[] = {"",      "t",      ".t", "t.",   "a..t",
                                      "a/b.t", "a.b\\t", "..", "a.t?", "a.\nt"};
    struct weir_table *table;
    struct weir_arena arena;
    char **names;
    size_t count;
    weir_arena_init(&arena, &context.memory);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(catalog.operations->load(catalog.self, bad[i], &table, &error), WEIR_USAGE,
                     "%s", bad[i]);
    static const char *const good[] = {"silver.b", "bronze.b", "bronze.a", "a.b.c"};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(create_table(&catalog, good[i], i + 1, &table, &error), WEIR_OK, "%s",
                     error.text);
        weir_table_free(table);
    }
    cr_assert_eq(catalog.operations->list(catalog.self, "", &arena, &names, &count, &error),
                 WEIR_OK);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(names[0], "a.b.c");
    cr_assert_eq(catalog.operations->list(catalog.self, "bronze", &arena, &names, &count, &error),
                 WEIR_OK);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(names[1], "bronze.b");
    weir_arena_done(&arena);
}

Test(sqlite_catalog, an_uncertain_document_is_left_and_another_name_taken)
{
    struct weir_table *table, *next;
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK);
    memory.fail_name = "metadata.json";
    memory.fail_status = WEIR_UNKNOWN_OUTCOME;
    memory.fail_done = true;
    cr_assert_eq(append(&catalog, table, 2, &next, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(memory.count, 3, "one is litter");
    weir_table_free(next);
    weir_table_free(table);
}

Test(sqlite_catalog, a_failed_document_moves_nothing)
{
    struct weir_table *table, *next;
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK);
    memory.fail_name = "metadata.json";
    memory.fail_status = WEIR_DENIED;
    cr_assert_eq(append(&catalog, table, 2, &next, &error), WEIR_DENIED);
    cr_assert_eq(append(&catalog, table, 3, &next, &error), WEIR_OK, "the pointer stood still");
    weir_table_free(next);
    weir_table_free(table);
}

Test(sqlite_catalog, a_lost_answer_is_unknown_and_the_commit_is_there)
{
    struct weir_table *table, *next = NULL;
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK);
    context.effects.kill_at = atomic_load(&context.effects.count) +
                              1; /* the store in memory announces no effects */
    context.effects.kill_mode = 'l';
    cr_assert_eq(append(&catalog, table, 2, &next, &error), WEIR_UNKNOWN_OUTCOME);
    context.effects.kill_at = 0;
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.t", &next, &error), WEIR_OK);
    cr_assert(weir_metadata_is_ancestor(next->metadata, 2, head_of(next)));
    weir_table_free(next);
    weir_table_free(table);
}

Test(sqlite_catalog, of_racing_processes_exactly_one_wins_each_round)
{
    struct weir_table *table;
    enum { RACERS = 4, ROUNDS = 8 };
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK);
    catalog.operations->free(catalog.self); /* SQLite handles do not cross fork */
    for (int round = 0; round < ROUNDS; round++) {
        int ready[2], won = 0, lost = 0, status;
        cr_assert_eq(pipe(ready), 0);
        for (int racer = 0; racer < RACERS; racer++) {
            if (fork() != 0)
                continue;
            char byte;
            struct weir_table *next;
            weir_status outcome = weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog,
                                                          &error);
            close(ready[1]);
            if (read(ready[0], &byte, 1) != 0) /* all start when the pipe closes */
                _exit(9);
            if (outcome == WEIR_OK)
                outcome = append(&catalog, table, 100 + round * RACERS + racer, &next, &error);
            _exit(outcome == WEIR_OK ? 0 : outcome == WEIR_PRECONDITION ? 1 : 2);
        }
        close(ready[0]);
        close(ready[1]);
        for (int racer = 0; racer < RACERS; racer++) {
            cr_assert_gt(wait(&status), 0);
            won += WIFEXITED(status) && WEXITSTATUS(status) == 0;
            lost += WIFEXITED(status) && WEXITSTATUS(status) == 1;
        }
        cr_assert_eq(won, 1, "round %d: %d won", round, won);
        cr_assert_eq(lost, RACERS - 1);
        /* the winner's document is in its own memory: point back to the one all know */
        sqlite3 *database;
        char sql[512];
        snprintf(sql, sizeof sql, "UPDATE iceberg_tables SET metadata_location = '%s'",
                 table->metadata_location);
        cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
        cr_assert_eq(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(database);
    }
    weir_table_free(table);
    cr_assert_eq(weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog, &error),
                 WEIR_OK);
}

Test(sqlite_catalog, of_racing_creators_exactly_one_wins)
{
    int won = 0, lost = 0, status;
    catalog.operations->free(catalog.self);
    for (int racer = 0; racer < 4; racer++) {
        if (fork() != 0)
            continue;
        struct weir_table *table;
        weir_status outcome = weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog,
                                                      &error);
        if (outcome == WEIR_OK)
            outcome = create_table(&catalog, "bronze.t", racer + 1, &table, &error);
        _exit(outcome == WEIR_OK ? 0 : outcome == WEIR_PRECONDITION ? 1 : 2);
    }
    for (int racer = 0; racer < 4; racer++) {
        cr_assert_gt(wait(&status), 0);
        won += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        lost += WIFEXITED(status) && WEXITSTATUS(status) == 1;
    }
    cr_assert_eq(won, 1);
    cr_assert_eq(lost, 3);
    cr_assert_eq(weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog, &error),
                 WEIR_OK);
}

Test(sqlite_catalog, older_files_get_their_column_and_views_are_no_tables)
{
    sqlite3 *database;
    struct weir_table *table;
    struct weir_arena arena;
    char **names;
    size_t count;
    catalog.operations->free(catalog.self);
    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(database,
                     "DROP TABLE iceberg_tables; CREATE TABLE iceberg_tables (catalog_name "
                     "VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,"
                     " table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), "
                     "previous_metadata_location VARCHAR(1000), PRIMARY KEY (catalog_name, "
                     "table_namespace, table_name))",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(database);
    cr_assert_eq(weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog, &error), WEIR_OK,
                 "%s", error.text);
    cr_assert_eq(create_table(&catalog, "bronze.t", 1, &table, &error), WEIR_OK, "%s", error.text);
    weir_table_free(table);
    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(database,
                              "INSERT INTO iceberg_tables VALUES ('weir', 'bronze', 'v', 's3://x', "
                              "NULL, 'VIEW'), ('other', 'bronze', 'o', 's3://x', NULL, 'TABLE')",
                              NULL, NULL, NULL),
                 SQLITE_OK);
    sqlite3_close(database);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.v", &table, &error),
                 WEIR_NOT_FOUND);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.o", &table, &error),
                 WEIR_NOT_FOUND);
    weir_arena_init(&arena, &context.memory);
    cr_assert_eq(catalog.operations->list(catalog.self, "", &arena, &names, &count, &error),
                 WEIR_OK);
    cr_assert_eq(count, 1);
    weir_arena_done(&arena);
}

Test(sqlite_catalog, processes_that_open_a_file_for_the_first_time)
{
    int good = 0, status;
    catalog.operations->free(catalog.self);
    unlink(path);
    for (int racer = 0; racer < 4; racer++) {
        if (fork() != 0)
            continue;
        struct weir_table *table;
        char name[] = {'b', '.', (char)('a' + racer), '\0'};
        weir_status outcome = weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog,
                                                      &error);
        if (outcome == WEIR_OK)
            outcome = create_table(&catalog, name, racer + 1, &table, &error);
        _exit(outcome == WEIR_OK ? 0 : 1);
    }
    for (int racer = 0; racer < 4; racer++) {
        cr_assert_gt(wait(&status), 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    cr_assert_eq(good, 4, "%d of 4", good);
    cr_assert_eq(weir_catalog_sqlite_new(&context, &store, path, "weir", &catalog, &error),
                 WEIR_OK);
}

Test(sqlite_catalog, files_that_are_none)
{
    struct weir_catalog other;
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    cr_assert_eq(weir_catalog_sqlite_new(&context, &store, path, "weir", &other, &error),
                 WEIR_CORRUPT, "%s", error.text);
    cr_assert_eq(
        weir_catalog_sqlite_new(&context, &store, "/nowhere/at/all.db", "weir", &other, &error),
        WEIR_NOT_FOUND);
}

Test(sqlite_catalog, locations_outside_the_warehouse)
{
    sqlite3 *database;
    struct weir_table *table;
    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(
        sqlite3_exec(
            database,
            "INSERT INTO iceberg_tables VALUES ('weir', 'bronze', 'x', 's3://other/wh/m.json', "
            "NULL, 'TABLE'), ('weir', 'bronze', 'y', 's3://lake/wh/gone.json', NULL, 'TABLE')",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(database);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.x", &table, &error),
                 WEIR_UNSUPPORTED);
    cr_assert_eq(catalog.operations->load(catalog.self, "bronze.y", &table, &error), WEIR_CORRUPT,
                 "a table whose document is gone is not a table that never was");
}
