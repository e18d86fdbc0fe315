/* A folder of its own for each test, files in it, and what reading them reports. */
#ifndef WEIR_TESTS_PIPELINE_HELP_H
#define WEIR_TESTS_PIPELINE_HELP_H

#include "scheduler/pipeline/pipeline.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct weir_context context;
static char reported[1 << 20];
static struct weir_error last_error;

static void help_setup(void)
{
    char folder[] = "/tmp/weir-pipeline-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    weir_context_init(&context);
}

static void help_teardown(void)
{
    char folder[4096], command[4200];
    weir_context_done(&context);
    if (getcwd(folder, sizeof folder) && strncmp(folder, "/tmp/weir-pipeline-", 19) == 0) {
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        cr_assert_eq(chdir("/tmp"), 0);
        cr_assert_eq(system(command), 0);
    }
}

static void write_bytes(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static void collect(void *argument, const char *text)
{
    (void)argument;
    size_t used = strlen(reported);
    snprintf(reported + used, sizeof reported - used, "%s\n", text);
}

/* NULL after errors: `reported` and `last_error` have them. */
static inline struct weir_pipeline *read_files(const char *const *files, size_t count)
{
    struct weir_pipeline *pipeline = NULL;
    reported[0] = 0;
    last_error = (struct weir_error){0};
    weir_status status = weir_pipeline_read(&context, files, count, collect, NULL, &pipeline,
                                            &last_error);
    cr_assert_eq(status == WEIR_OK, pipeline != NULL);
    if (!pipeline)
        cr_assert_eq(atomic_load(&context.memory.used), 0, "memory kept after an error");
    return pipeline;
}

static inline struct weir_pipeline *read_text(const char *text)
{
    static const char *const files[] = {"weir.yaml"};
    write_bytes("weir.yaml", text, strlen(text));
    return read_files(files, 1);
}

static inline struct weir_pipeline *read_good(const char *text)
{
    struct weir_pipeline *pipeline = read_text(text);
    cr_assert_not_null(pipeline, "%s%s", reported, last_error.text);
    return pipeline;
}

#define GOOD_SOURCES                                                                               \
    "version: 1\nname: t\nlake: {warehouse: ./lake}\nsources:\n"                                   \
    "  s: {kafka: {topics: [t], properties: {bootstrap.servers: \"x:1\"}}}\n"
#define GOOD_TABLE   "tables:\n  bronze.t:\n    source: s\n"
#define GOOD_COLUMNS "    columns: {a: int, b: timestamptz required}\n"

#endif
