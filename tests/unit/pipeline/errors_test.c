/* What is wrong with a pipeline file, to the letter: one case per kind of error, each key misspelt,
 * secrets, hostile files. */
#include "tests/unit/pipeline/help.h"

#include "engine/base/text.h"

#include "scheduler/pipeline/pipeline_int.h"

TestSuite(errors, .init = help_setup, .fini = help_teardown);

static const struct {
    const char *name, *text, *report;
} cases[] = {
#include "tests/unit/pipeline/errors.def"
};

Test(errors, golden)
{
    unsetenv("NO_SUCH_VARIABLE");
    unsetenv("NOT_THERE");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_null(read_text(cases[i].text), "%s", cases[i].name);
        cr_expect_str_eq(reported, cases[i].report, "%s\n--- wanted\n%s--- got\n%s", cases[i].name,
                         cases[i].report, reported);
        cr_expect_eq(last_error.status, WEIR_USAGE);
    }
}

/* Without a report function the first error is the error. */
Test(errors, without_report)
{
    static const char *const files[] = {"weir.yaml"};
    const char *text = GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS "sinkz: 1\n";
    struct weir_pipeline *pipeline = NULL;
    write_bytes("weir.yaml", text, strlen(text));
    cr_assert_eq(weir_pipeline_read(&context, files, 1, NULL, NULL, &pipeline, &last_error),
                 WEIR_USAGE);
    cr_assert_str_eq(last_error.text, "weir.yaml:10:1: unknown key 'sinkz'");
    cr_assert_str_eq(last_error.hint, "did you mean 'sinks'?");
}

Test(errors, files)
{
    static const char *const none[] = {"no.yaml"}, *const far[] = {"s3://bucket/weir.yaml"},
                             *const in[] = {"-"}, *const folder[] = {"."};
    cr_assert_null(read_files(none, 1));
    cr_assert_str_eq(last_error.text, "cannot open no.yaml: No such file or directory");
    cr_assert_eq(last_error.status, WEIR_USAGE);
    cr_assert_null(read_files(far, 1));
    cr_assert(strstr(last_error.text, "s3://"));
    cr_assert_null(read_files(in, 1));
    cr_assert_null(read_files(folder, 1));
    cr_assert_str_eq(last_error.text, ". is a folder");
}

/* ---- each key misspelt
 * ---------------------------------------------------------------------------------------- */

/* A YAML flow text that leads to a map at `path`, with `inside` in it; `*` becomes a name, `-` a
 * list item. */
static void nest(char *out, size_t room, const char *path, const char *inside)
{
    size_t slash = strcspn(path, "/"), used;
    bool item = slash == 1 && *path == '-';
    if (!*path) {
        snprintf(out, room, "{%s}", inside);
        return;
    }
    if (item)
        snprintf(out, room, "[");
    else
        snprintf(out, room, "{%s%.*s: ", "", *path == '*' ? 8 : (int)slash,
                 *path == '*' ? "bronze.x" : path);
    used = strlen(out);
    nest(out + used, room - used, path[slash] ? path + slash + 1 : path + slash, inside);
    used = strlen(out);
    snprintf(out + used, room - used, "%s", item ? "]" : "}");
}

static void expect_suggestion(const struct key *key, const char *parent, const char *last,
                              const char *misspelt)
{
    char inside[160], text[1024], wanted[160], unknown[160];
    snprintf(inside, sizeof inside, "%s: 1", misspelt);
    nest(text, sizeof text, parent, inside);
    cr_assert_null(read_text(text));
    snprintf(unknown, sizeof unknown, "unknown key '%s'", misspelt);
    snprintf(wanted, sizeof wanted, "did you mean '%s'?", last);
    const char *at = strstr(reported, unknown);
    cr_assert(at != NULL, "%s: no \"%s\" in\n%s", text, unknown, reported);
    const char *hint = strstr(at, "hint: ");
    cr_assert(hint && strncmp(hint + 6, wanted, strlen(wanted)) == 0, "%s (%s): wanted %s in\n%s",
              text, key->path, wanted, at);
}

/* As near to another key beside it: "code" is one letter from codec and one from mode. */
static bool is_ambiguous(const struct key *key, const char *parent, const char *last,
                         const char *misspelt)
{
    for (size_t i = 0; i < key_count; i++) {
        const char *other = key_below(&keys[i], parent);
        if (other && &keys[i] != key &&
            weir_text_distance(misspelt, other) <= weir_text_distance(misspelt, last))
            return true;
    }
    return false;
}

Test(errors, each_key_misspelt)
{
    size_t tried = 0;
    for (size_t i = 0; i < key_count; i++) {
        const struct key *key = &keys[i];
        char parent[256] = "", misspelt[128];
        const char *slash = strrchr(key->path, '/'), *last = slash ? slash + 1 : key->path;
        size_t size = strlen(last);
        if (key->later_value || *last == '*' || *last == '-')
            continue;
        if (slash)
            snprintf(parent, sizeof parent, "%.*s", (int)(slash - key->path), key->path);
        for (int edit = 0; edit < 4; edit++) {
            size_t at = (i + (size_t)edit) % size;
            if (edit == 0) /* one letter too many */
                snprintf(misspelt, sizeof misspelt, "%.*sq%s", (int)at, last, last + at);
            else if (edit == 1) /* one missing */
                snprintf(misspelt, sizeof misspelt, "%.*s%s", (int)at, last, last + at + 1);
            else if (edit == 2) /* another one */
                snprintf(misspelt, sizeof misspelt, "%.*sq%s", (int)at, last, last + at + 1);
            else { /* two swapped */
                at = at + 1 < size ? at : 0;
                snprintf(misspelt, sizeof misspelt, "%s", last);
                misspelt[at] = last[at + 1];
                misspelt[at + 1] = last[at];
            }
            const struct key *hit = key_find(parent, misspelt, strlen(misspelt));
            if (hit || !*misspelt || strcmp(misspelt, last) == 0 ||
                is_ambiguous(key, parent, last, misspelt))
                continue; /* names of the user's own, or another key */
            expect_suggestion(key, parent, last, misspelt);
            tried++;
        }
    }
    cr_assert_gt(tried, 300, "%zu", tried);
}

/* ---- secrets
 * --------------------------------------------------------------------------------------------------
 */

Test(errors, secrets_never_show)
{
    static const char *const texts[] = {
        "{sasl.password: hunter2-%d, nonsense: 1}",
        "{nonsense: 1, sasl.password: \"hunter2, 3\", more.nonsense: 2}",
        "{sasl.passwrd: hunter2}",
        "{ssl.key.pem: hunter2, fetch.error.backoff.ms: x}",
        "{sasl.oauthbearer.config: [hunter2]}",
        "{sasl.password: {a: hunter2}}",
        "{sasl.password : hunter2, \"nonsense\": 1",
        "{sasl.password: \"${NO_SUCH_VARIABLE}hunter2\"}",
        "{sasl.password: \"hunter2${\"}",
        "{\"sasl.password\": \"hunter2\", nonsense: 1}",
        "{'ssl.key.password': 'hunter2', nonsense: 1}",
        "\n        ssl.key.pem: |\n          hunter2\n          hunter2 ${NO_SUCH_VARIABLE}\n      "
        "  nonsense: 1",
        "\n        ssl.key.pem: \"hunter2\n          hunter2 ${NO_SUCH_VARIABLE} hunter2\"\n       "
        " nonsense: 1",
        "\n        sasl.password: hunter2\n        sasl.password: hunter2",
        "{ssl.endpoint.identification.algorithm: \"file:secret.txt\"}",
        "{security.protocol: \"file:secret.txt\", sasl.password: \"file:secret.txt\"}",
        "{sasl.password: \"file:binary.txt\"}",
    };
    write_bytes("secret.txt", "hunter2\n", 8);
    write_bytes("binary.txt", "hunter2\0x\n", 10);
    unsetenv("NO_SUCH_VARIABLE");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 "version: 1\nname: t\nlake: {warehouse: ./lake}\nsources:\n  s:\n    kafka:\n     "
                 " topics: t\n      properties: %s\n" GOOD_TABLE GOOD_COLUMNS,
                 texts[i]);
        cr_assert_null(read_text(text), "%s", text);
        cr_expect(reported[0] != 0, "%s", text);
        cr_expect_null(strstr(reported, "hunter2"), "%s\n%s", text, reported);
        cr_expect_null(strstr(last_error.text, "hunter2"), "%s", last_error.text);
    }
}

Test(errors, environment_values_do_not_show)
{
    setenv("WEIR_TEST_VALUE", "hunter2", 1);
    static const char *const texts[] = {"run: {threads: \"${WEIR_TEST_VALUE}\"}\n",
                                        "owner: ok\nrun: {deadline: \"${WEIR_TEST_VALUE}\", "
                                        "memory_limit: \"${WEIR_TEST_VALUE}\"}\n"};
    for (size_t i = 0; i < 2; i++) {
        char text[2048];
        snprintf(text, sizeof text, GOOD_SOURCES GOOD_TABLE GOOD_COLUMNS "%s", texts[i]);
        cr_assert_null(read_text(text));
        cr_expect_null(strstr(reported, "hunter2"), "%s", reported);
    }
}

/* ---- hostile files
 * -------------------------------------------------------------------------------------------- */

static char *repeated(const char *before, const char *unit, size_t count, const char *after)
{
    size_t size = strlen(unit);
    char *text = malloc(strlen(before) + size * count + strlen(after) + 1), *at;
    cr_assert_not_null(text);
    at = stpcpy(text, before);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, unit);
    strcpy(at, after);
    return text;
}

Test(errors, hostile)
{
    static const struct {
        const char *before, *unit;
        size_t count;
        const char *after, *says;
    } files[] = {
        {"a: ", "[", 1000000, "", "weir.yaml:1:50004: more than 50000 opening brackets"},
        {"a: ", "[", 40000, "", "weir.yaml:1:67: nested deeper than 64 levels"},
        {"a: ", "{a: ", 40000, "", "nested deeper than 64 levels"},
        {"", "- ", 100000, "", "nested deeper than 64 levels"},
        {"name: ", "x", 3000000, "\nz: 1\n", "unknown key 'z'"},
        {"name: \"", "x", 5000000, "\"\n", "weir.yaml is larger than 4194304 bytes"},
        {"a0: &a0 [x]\na: [", "*a0,", 150000, "]\n",
         "more than 200000 values, aliases counted each time"},
        {"", "? ", 20000, "", "weir.yaml:1:"},
        {"a: ", "&a ", 20000, "x", "weir.yaml:1:"},
        {"a: ", "!!x ", 20000, "x", "weir.yaml:1:"},
        {"a: |", "\n\n", 100000, "", "weir.yaml:1002:1: more than 1000 empty lines in a row"},
        {"a: |", "\n\n x", 100000, "", "unknown key 'a'"},
        {"%YAML 9.9\n---\n", "#", 100, "", "weir.yaml:"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *text = repeated(files[i].before, files[i].unit, files[i].count, files[i].after);
        cr_assert_null(read_text(text));
        cr_expect(strstr(reported, files[i].says) || strstr(last_error.text, files[i].says),
                  "%zu: wanted %s, got\n%.2000s%s", i, files[i].says, reported, last_error.text);
        cr_expect_lt(strlen(reported), 100000u);
        free(text);
    }
}

Test(errors, alias_bomb)
{
    char text[4096] = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 12; i++) {
        size_t used = strlen(text);
        used += (size_t)snprintf(text + used, sizeof text - used, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            used += (size_t)snprintf(text + used, sizeof text - used, "*a%d,", i - 1);
        snprintf(text + used, sizeof text - used, "]\n");
    }
    cr_assert_null(read_text(text));
    cr_assert(strstr(reported, "more than 200000 values"), "%s", reported);
}

/* Every prefix of a good file, and the file with each byte replaced in turn: an error or a
 * pipeline, never a crash. */
Test(errors, damaged)
{
    const char *good = GOOD_SOURCES GOOD_TABLE
        "    columns: {a: \"struct<x:int, y:list<string>>\", b: {type: timestamptz, unit: "
        "millis}}\n"
        "    partition_by: [days(b)]\n    expect: [{that: \"a.x > 1\"}]\n    codec: zstd(3)\n";
    size_t size = strlen(good);
    static const char *const files[] = {"weir.yaml"};
    char text[1024];
    for (size_t i = 0; i < size; i++) {
        write_bytes("weir.yaml", good, i);
        weir_pipeline_free(read_files(files, 1));
        static const char bytes[] = {'{', '"', '\n', ':', '\xff', '&', '*', ' ', '>', '$'};
        memcpy(text, good, size);
        text[i] = bytes[i % sizeof bytes];
        write_bytes("weir.yaml", text, size);
        weir_pipeline_free(read_files(files, 1));
    }
    cr_assert_eq(atomic_load(&context.memory.used), 0);
}
