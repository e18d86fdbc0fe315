/* Globs, listings and ranged reading of input files. */
#include "connectors/file/file_source.h"
#include "connectors/file/local.h"
#include "connectors/file/walk_int.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(glob, matches)
{
    static const struct {
        const char *pattern, *name;
        bool expected;
    } cases[] = {
        {"a.json", "a.json", true},
        {"*.json", "a.json", true},
        {"*.json", "x/a.json", false},
        {"*.json", ".a.json", false},
        {".*", ".a", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"?", "é", false},
        {"??", "é", true},
        {"[a-c]1", "b1", true},
        {"[a-c]1", "d1", false},
        {"[!a-c]1", "d1", true},
        {"[]]", "]", true},
        {"[a", "a", false},
        {"[", "[", false},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"a?c", "a/c", false},
        {"**", "a/b/c", true},
        {"**", "a/.b/c", false},
        {"**/x", "x", true},
        {"**/x", "a/b/x", true},
        {"**/x", "a/b/y", false},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/x/y/b/c", false},
        {"a/**", "a/b", true},
        {"a/**", "a", false},
        {"**/a/**/b", "x/a/y/a/z/b", true},
        {"**/a/*/b", "x/a/y/a/z/b", true},
        {"*/b", "a/b", true},
        {"*/b", "b", false},
        {"a/*", "a/", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", false},
        {"dt=*/h=0[0-9]/*.ndjson.gz", "dt=2026-11-23/h=07/x.ndjson.gz", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(glob_match(cases[i].pattern, cases[i].name), cases[i].expected, "%s on %s",
                     cases[i].pattern, cases[i].name);
}

Test(glob, folders_worth_entering)
{
    cr_expect(glob_could_enter("a/*/c.json", "a"));
    cr_expect(glob_could_enter("a/*/c.json", "a/b"));
    cr_expect_not(glob_could_enter("a/*/c.json", "b"));
    cr_expect_not(glob_could_enter("a/*/c.json", "a/b/c.json"));
    cr_expect_not(glob_could_enter("*.json", "a"), "nothing can follow");
    cr_expect(glob_could_enter("**/x", "a/b/c"));
    cr_expect_eq(glob_folder_size("a/b/*.json"), 4);
    cr_expect_eq(glob_folder_size("*.json"), 0);
    cr_expect_eq(glob_folder_size("/in/a?c/d"), 4);
}

/* A pattern of many stars on a long name must not take forever. */
Test(glob, no_pattern_is_slow, .timeout = 5)
{
    char pattern[201], name[1001];
    for (int i = 0; i < 200; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[200] = '\0';
    memset(name, 'a', 999);
    memcpy(name + 999, "b", 2);
    cr_expect_not(glob_match(pattern, name));
    char deep[1024] = "";
    for (int i = 0; i < 250; i++)
        strcat(deep, i == 249 ? "b" : "a/");
    cr_expect_not(glob_match("**/a/**/a/**/a/**/a/**/a/**/a/**/c", deep));
}

static struct weir_context context;
static struct weir_arena arena;
static struct weir_error error;
static char folder[] = "/tmp/weir-source-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char command[300];
    snprintf(command, sizeof command,
             "mkdir -p \"$(dirname '%s/%s')\" && printf '%%s' '%s' > '%s/%s'", folder, name, text,
             folder, name);
    cr_assert_eq(system(command), 0);
}

static void setup(void)
{
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    cr_assert(mkdtemp(folder));
    write_file("in/b.ndjson", "bb");
    write_file("in/a.ndjson", "a");
    write_file("in/a-b/x.ndjson.gz", "xx");
    write_file("in/a/y.ndjson", "y");
    write_file("in/a/deep/z.ndjson", "z");
    write_file("in/.hidden.ndjson", "h");
    write_file("in/note.txt", "n");
}

static void teardown(void)
{
    char command[100];
    weir_arena_done(&arena);
    cr_expect_eq(atomic_load(&context.memory.used), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(file_source, .init = setup, .fini = teardown);

static const char *listed(const struct weir_file_source *source, const char *pattern)
{
    static char text[2000];
    struct weir_file_entry *entries;
    size_t count;
    cr_assert_eq(weir_file_list(source, pattern, &arena, &entries, &count, &error), WEIR_OK, "%s",
                 error.text);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s:%d ",
                 strstr(entries[i].path, "/in/") + 4, (int)entries[i].size);
    return text;
}

static void expect_lists(const struct weir_file_source *source, const char *root)
{
    static const char *const cases[][2] = {
        {"in/*.ndjson", "a.ndjson:1 b.ndjson:2 "},
        {"in/**",
         "a-b/x.ndjson.gz:2 a.ndjson:1 a/deep/z.ndjson:1 a/y.ndjson:1 b.ndjson:2 note.txt:1 "},
        {"in/**/*.ndjson*",
         "a-b/x.ndjson.gz:2 a.ndjson:1 a/deep/z.ndjson:1 a/y.ndjson:1 b.ndjson:2 "},
        {"in/a/**/*.ndjson", "a/deep/z.ndjson:1 a/y.ndjson:1 "},
        {"in/a*/?.*", "a-b/x.ndjson.gz:2 a/y.ndjson:1 "},
        {"in/b.ndjson", "b.ndjson:2 "},
        {"in/none*", ""},
        {"nowhere/*", ""},
        {"in/b.ndjson/*", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char pattern[200];
        snprintf(pattern, sizeof pattern, "%s%s", root, cases[i][0]);
        cr_expect_str_eq(listed(source, pattern), cases[i][1], "%s", cases[i][0]);
    }
}

Test(file_source, lists_local)
{
    struct weir_file_source source = {&context};
    char root[100];
    struct weir_file_entry *entries;
    size_t count;
    snprintf(root, sizeof root, "%s/", folder);
    expect_lists(&source, root);
    cr_assert_eq(chdir(folder), 0);
    expect_lists(&source, "");
    cr_assert_eq(weir_file_list(&source, "./in/../in/a.ndjson", &arena, &entries, &count, &error),
                 WEIR_OK);
    snprintf(root, sizeof root, "%s/in/a.ndjson", folder);
    cr_expect_str_eq(entries[0].path, root, "one name for one file");
    cr_expect_eq(weir_file_list(&source, "in", &arena, &entries, &count, &error), WEIR_USAGE);
    cr_expect_eq(weir_file_list(&source, "", &arena, &entries, &count, &error), WEIR_USAGE);
}

Test(file_source, lists_store)
{
    struct weir_object_store store;
    cr_assert_eq(weir_store_local_new(&context, folder, &store, &error), WEIR_OK);
    struct weir_file_source source = {&context, &store};
    struct weir_file_entry *entries;
    size_t count;
    expect_lists(&source, "");
    cr_assert_eq(weir_file_list(&source, "in/b*", &arena, &entries, &count, &error), WEIR_OK);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(entries[0].name, "in/b.ndjson");
    store.operations->free(store.self);
}

static void expect_reads(const struct weir_file_source *source, const char *pattern)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    struct weir_file_entry *entries;
    struct weir_file *file;
    size_t count;
    cr_assert_eq(weir_file_list(source, pattern, &arena, &entries, &count, &error), WEIR_OK);
    cr_assert_eq(count, 1);
    cr_assert_eq(weir_file_open(source, &entries[0], &file, &error), WEIR_OK, "%s", error.text);
    cr_expect_eq(weir_file_size(file), 10);
    cr_assert_eq(weir_file_read_at(file, 3, 4, &buffer, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(weir_file_read_at(file, 8, 400, &buffer, &error), WEIR_OK);
    cr_assert_eq(weir_file_read_at(file, 10, 1, &buffer, &error), WEIR_OK);
    cr_assert_eq(weir_file_read_at(file, UINT64_MAX, 1, &buffer, &error), WEIR_OK);
    cr_expect_eq(buffer.size, 6);
    cr_expect_eq(memcmp(buffer.data, "345689", 6), 0);
    write_file("in/r", "ABCDEFGHIJ");
    cr_expect_eq(weir_file_read_at(file, 3, 4, &buffer, &error), WEIR_CORRUPT,
                 "changed in between");
    cr_expect_eq(buffer.size, 6);
    weir_file_close(file);
    weir_file_close(NULL);
    if (!source->store)
        cr_expect_eq(weir_file_open(source, &entries[0], &file, &error), WEIR_CORRUPT,
                     "not the one that was listed");
}

Test(file_source, reads)
{
    struct weir_object_store store;
    char path[100];
    cr_assert_eq(weir_store_local_new(&context, folder, &store, &error), WEIR_OK);
    struct weir_file_source in_store = {&context, &store}, on_disk = {&context};
    write_file("in/r", "0123456789");
    usleep(20000);
    expect_reads(&in_store, "in/r");
    write_file("in/r", "0123456789");
    usleep(20000);
    snprintf(path, sizeof path, "%s/in/r", folder);
    expect_reads(&on_disk, path);
    store.operations->free(store.self);
}
