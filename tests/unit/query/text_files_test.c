/* NDJSON and CSV files as tables: every row once whatever the cuts, and errors that name the line.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>

#include "engine/base/context.h"
#include "formats/json/json.h"
#include "scheduler/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char folder[64];
static struct weir_context context;
static struct weir_query_session *session;

static void start(void)
{
    struct weir_query_options options = {.context = &context};
    strcpy(folder, "/tmp/weir-text-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    weir_context_init(&context);
    context.thread_count = 2;
    cr_assert_eq(weir_query_session_new(&options, &session, NULL), WEIR_OK);
}

static void end(void)
{
    weir_query_session_free(session);
    cr_assert_eq(context.memory.used, 0);
    weir_context_done(&context);
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    cr_expect_eq(rmdir(folder), 0);
}

TestSuite(text_files, .init = start, .fini = end);

static weir_status begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    return WEIR_OK;
}

static weir_status batch(void *self, const struct weir_batch *rows, struct weir_error *reterr)
{
    struct weir_buffer *out = self;
    return weir_json_write_rows(rows, out, reterr);
}

static weir_status run(const char *sql, struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_query_result result = {begin, batch, out};
    struct weir_query_statistics statistics;
    return weir_query_run(session, sql, &result, &statistics, NULL, reterr);
}

static void expect(const char *sql, const char *answer)
{
    struct weir_buffer out = {.account = &context.memory};
    struct weir_error error = {0};
    cr_assert_eq(run(sql, &out, &error), WEIR_OK, "%s: %s", sql, error.text);
    cr_assert_eq(weir_buffer_append(&out, "", 1, NULL), WEIR_OK);
    cr_expect_str_eq((char *)out.data, answer, "%s", sql);
    weir_buffer_done(&out);
}

static void expect_error(const char *sql, const char *part)
{
    struct weir_buffer out = {.account = &context.memory};
    struct weir_error error = {0};
    cr_assert_neq(run(sql, &out, &error), WEIR_OK, "%s", sql);
    cr_expect_not_null(strstr(error.text, part), "%s: %s", sql, error.text);
    weir_buffer_done(&out);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

/* Lines of 1 to 300 bytes over three cuts of 4 MiB; one line begins exactly on a cut. */
static void write_many(const char *name, int bad)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    for (int i = 0; i < 80000; i++) {
        long at = ftell(file), cut = 4 << 20, left = cut - at;
        int pad = left > 330 && left < 400 ? (int)left - 24 : i % 300;
        if (i == bad)
            fprintf(file, "{\"id\":\"no\"}\n");
        else
            fprintf(file, "{\"id\":%6d,\"pad\":\"%*s\"}\n", i, pad, "");
    }
    cr_assert_eq(fclose(file), 0);
}

Test(text_files, every_line_once)
{
    write_many("a.ndjson", -1);
    expect("SELECT count(*) AS n, count(DISTINCT id) AS d, sum(id) AS s FROM 'a.ndjson'",
           "{\"n\":80000,\"d\":80000,\"s\":3199960000}\n");
    expect("SELECT count(*) AS n FROM 'a.ndjson'", "{\"n\":80000}\n");
    expect("SELECT id FROM 'a.ndjson' WHERE id IN (0, 79999) ORDER BY id",
           "{\"id\":0}\n{\"id\":79999}\n");
}

Test(text_files, a_bad_record_names_its_line)
{
    write_many("a.ndjson", 70000);
    expect_error("SELECT count(*) FROM 'a.ndjson' WHERE id > 0", "line 70001");
}

Test(text_files, what_lines_may_be)
{
    write_file("a.jsonl", "\xef\xbb\xbf{\"x\":1}\r\n\n  \n{\"x\":null}\n{\"x\":3}");
    expect("SELECT x FROM 'a.jsonl'", "{\"x\":1}\n{\"x\":null}\n{\"x\":3}\n");
    write_file("empty.json", "");
    expect_error("SELECT * FROM 'empty.json'", "no record");
    write_file("list.json", "[1, 2]\n");
    expect_error("SELECT * FROM 'list.json'", "list.json");
}

Test(text_files, csv)
{
    write_file("a.csv", "id,name\n1,\"a, \"\"b\"\"\nc\"\n2,\n");
    write_file("b.csv", "id,name\n3,d\n");
    expect("SELECT id, name FROM 'a.csv' WHERE id = 1",
           "{\"id\":1,\"name\":\"a, \\\"b\\\"\\nc\"}\n");
    expect("SELECT count(*) AS n, sum(id) AS s, count(name) AS c FROM '?.csv'",
           "{\"n\":3,\"s\":6,\"c\":2}\n");
    write_file("c.csv", "name,id\nd,3\n");
    expect_error("SELECT count(*), sum(id) FROM '[a-c].csv'", "first line");
}

Test(text_files, a_cut_stream_is_an_error_that_names_the_file)
{
    write_file("a.ndjson.gz", "\x1f\x8b\x08");
    expect_error("SELECT * FROM 'a.ndjson.gz'", "a.ndjson.gz");
}

/* 500 files are read by a process that may have 64 descriptors. */
Test(text_files, more_files_than_descriptors)
{
    struct rlimit few = {64, 64};
    char name[32];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "f%d.ndjson", i);
        FILE *file = fopen(name, "w");
        cr_assert_not_null(file);
        fprintf(file, "{\"a\":%d}\n", i);
        fclose(file);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    expect("SELECT count(*) AS n, sum(a) AS s FROM 'f*.ndjson'", "{\"n\":500,\"s\":124750}\n");
}

/* libpg_query recurses on each: deeper than a thread's stack usually is. */
Test(text_files, operators_in_each_other)
{
    struct weir_buffer text = {.account = &context.memory}, out = {.account = &context.memory};
    struct weir_error error = {0};
    cr_assert_eq(weir_buffer_print(&text, &error, "SELECT "), WEIR_OK);
    for (int i = 0; i < 7900; i++)
        cr_assert_eq(weir_buffer_print(&text, &error, "%s", i % 2 ? "NOT " : "NOT  "), WEIR_OK);
    cr_assert_eq(weir_buffer_print(&text, &error, "true"), WEIR_OK);
    weir_status status = run((const char *)text.data, &out, &error);
    cr_assert(status == WEIR_OK || status == WEIR_USAGE || status == WEIR_UNSUPPORTED, "%s",
              error.text);
    weir_buffer_done(&text);
    weir_buffer_done(&out);
}

/* Pairs that the filter refuses take no memory, however many they are. */
Test(text_files, pairs_that_are_refused)
{
    FILE *file = fopen("many.ndjson", "w");
    cr_assert_not_null(file);
    for (int i = 0; i < 4000; i++)
        fprintf(file, "{\"a\":%d}\n", i);
    fclose(file);
    context.memory.limit = (size_t)16 << 20;
    expect("SELECT count(*) AS n FROM 'many.ndjson' x JOIN 'many.ndjson' y ON x.a + y.a < 0",
           "{\"n\":0}\n");
    context.memory.limit = 0;
}
