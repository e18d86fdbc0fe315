/* weir test: tests of models, tests/ beside the pipeline file, or the files named. */
#include "tools/weir/cli.h"

#include "scheduler/modeltest/modeltest.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SHARED_MEMORY       "/dev/shm"
#define SHARED_MEMORY_LEAST (64u << 20) /* bytes free */

static void report(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

/* ---- a folder for the lakes ---- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    remove(path);
    return 0;
}

/* In memory where there is room: what is committed there need not wait for a disk. */
static const char *best_place(const struct weir_pipeline *pipeline)
{
    struct statvfs about;
    bool shared = access(SHARED_MEMORY, W_OK | X_OK) == 0 && statvfs(SHARED_MEMORY, &about) == 0 &&
                  (uint64_t)about.f_bavail * about.f_frsize >= SHARED_MEMORY_LEAST;
    if (shared)
        return SHARED_MEMORY;
    return access(pipeline->spill_dir, W_OK | X_OK) == 0 ? pipeline->spill_dir : "/tmp";
}

static weir_status make_folder(const struct weir_pipeline *pipeline, char *ret_path, size_t size,
                               struct weir_error *reterr)
{
    snprintf(ret_path, size, "%s/weir-test-XXXXXX", best_place(pipeline));
    if (!mkdtemp(ret_path))
        return weir_fail(reterr, WEIR_IO, "%s: %s", ret_path, strerror(errno));
    return WEIR_OK;
}

/* ---- telling ---- */

static void print_value(const json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
}

static void print_columns(const json_t *columns)
{
    const char *name, *comma = "";
    json_t *column;
    json_object_foreach((json_t *)(uintptr_t)columns, name, column)
    {
        printf("%s%s is ", comma, name);
        print_value(json_object_get(column, "is"));
        printf(", expected ");
        print_value(json_object_get(column, "expected"));
        comma = "; ";
    }
}

static void print_problem(const json_t *problem, json_int_t *last_step)
{
    const char *kind = json_string_value(json_object_get(problem, "kind")),
               *name = json_string_value(json_object_get(problem, "name"));
    json_int_t step = json_integer_value(json_object_get(problem, "step"));
    if (step != *last_step && step > 1)
        printf("  step %" JSON_INTEGER_FORMAT "\n", step);
    *last_step = step;
    printf("  %-10s ", kind);
    if (json_object_get(problem, "row")) {
        print_value(json_object_get(problem, "row"));
    } else if (json_object_get(problem, "columns")) {
        print_value(json_object_get(problem, "key"));
        printf(": ");
        print_columns(json_object_get(problem, "columns"));
    } else {
        printf("%s%s%s", name ? name : "", name ? ": " : "",
               json_string_value(json_object_get(problem, "text")));
    }
    printf("\n");
}

static void print_outcome(const json_t *outcome)
{
    size_t at;
    json_t *problem;
    json_int_t step = 1;
    bool ok = json_is_true(json_object_get(outcome, "ok"));
    printf("%s %s: %s", ok ? "ok  " : "FAIL", json_string_value(json_object_get(outcome, "model")),
           json_string_value(json_object_get(outcome, "name")));
    if (ok)
        printf("\n");
    else
        printf(" (%s)\n", json_string_value(json_object_get(outcome, "location")));
    json_array_foreach(json_object_get(outcome, "problems"), at, problem)
        print_problem(problem, &step);
}

/* ---- running ---- */

struct tally {
    size_t run, failed;
    json_t *outcomes;
};

static weir_status run_one(struct cli *cli, struct weir_modeltest *modeltest, const char *folder,
                           size_t index, struct tally *tally, struct weir_error *reterr)
{
    char lake[PATH_MAX + 32];
    json_t *outcome;
    weir_status status = weir_modeltest_run(modeltest, index, &outcome, reterr);
    snprintf(lake, sizeof lake, "%s/%zu", folder, index);
    nftw(lake, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    WEIR_TRY(status);
    tally->run++;
    tally->failed += !json_is_true(json_object_get(outcome, "ok"));
    if (cli->output == OUTPUT_NDJSON)
        print_value(outcome), printf("\n");
    else if (cli->output != OUTPUT_JSON)
        print_outcome(outcome);
    fflush(stdout);
    json_array_append_new(tally->outcomes, outcome);
    return WEIR_OK;
}

static weir_status run_all(struct cli *cli, const struct weir_pipeline *pipeline,
                           struct weir_model_tests *tests, const char *folder, struct tally *tally,
                           struct weir_error *reterr)
{
    struct weir_modeltest_options options = {cli->context, pipeline, tests, folder};
    struct weir_modeltest *modeltest;
    WEIR_TRY(weir_tests_problems(tests, report, NULL, reterr));
    WEIR_TRY(weir_modeltest_new(&options, &modeltest, reterr));
    weir_status status = weir_tests_problems(tests, report, NULL, reterr);
    for (size_t i = 0; status == WEIR_OK && i < tests->count; i++) {
        status = weir_context_check(cli->context, reterr);
        if (status == WEIR_OK && cli_selected(cli, tests->tests[i].model->table.name))
            status = run_one(cli, modeltest, folder, i, tally, reterr);
    }
    weir_modeltest_free(modeltest);
    return status;
}

static weir_status conclude(struct cli *cli, const struct tally *tally, int64_t start_ms,
                            struct weir_error *reterr)
{
    double seconds = (double)(weir_steady_ms(cli->context) - start_ms) / 1000;
    if (tally->run == 0)
        return weir_fail(reterr, WEIR_USAGE, "-s %s chooses no test", cli->select);
    if (cli->output == OUTPUT_JSON) {
        json_t *all = json_pack("{s:O, s:I, s:I}", "tests", tally->outcomes, "run",
                                (json_int_t)tally->run, "failed", (json_int_t)tally->failed);
        print_value(all);
        printf("\n");
        json_decref(all);
    } else if (cli->output != OUTPUT_NDJSON) {
        printf("%zu test%s, %zu failed (%.1f s)\n", tally->run, tally->run == 1 ? "" : "s",
               tally->failed, seconds);
    }
    if (tally->failed)
        return weir_fail(reterr, WEIR_FAILED, "%zu of %zu tests failed", tally->failed, tally->run);
    return WEIR_OK;
}

static weir_status test_files(struct cli *cli, const struct weir_pipeline *pipeline,
                              const char *const *files, size_t count, struct weir_error *reterr)
{
    int64_t start_ms = weir_steady_ms(cli->context);
    struct weir_model_tests *tests;
    struct tally tally = {.outcomes = json_array()};
    char folder[PATH_MAX];
    WEIR_TRY(weir_tests_read(cli->context, pipeline, files, count, &tests, reterr));
    weir_status status = make_folder(pipeline, folder, sizeof folder, reterr);
    if (status == WEIR_OK) {
        status = run_all(cli, pipeline, tests, folder, &tally, reterr);
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    if (status == WEIR_OK)
        status = conclude(cli, &tally, start_ms, reterr);
    json_decref(tally.outcomes);
    weir_tests_free(tests);
    return status;
}

/* tests/ beside the pipeline file, named as that was. */
static weir_status find_files(struct cli *cli, const struct weir_pipeline *pipeline,
                              struct weir_error *reterr)
{
    char pattern[PATH_MAX];
    const char *slash = strrchr(pipeline->file, '/');
    int size = slash ? (int)(slash - pipeline->file) + 1 : 0;
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%.*stests/*.yaml", size, pipeline->file);
    int failed = glob(pattern, 0, NULL, &found);
    snprintf(pattern, sizeof pattern, "%.*stests/*.yml", size, pipeline->file);
    int other = glob(pattern, failed ? 0 : GLOB_APPEND, NULL, &found);
    if (failed && other) {
        weir_status status = weir_fail(reterr, WEIR_USAGE, "there are no tests: %.*stests/*.yaml",
                                       size, pipeline->file);
        weir_error_hint(reterr, "docs/models.md says how they look; `weir init --template "
                                "inventory` writes some");
        return status;
    }
    weir_status status = test_files(cli, pipeline, (const char *const *)found.gl_pathv,
                                    found.gl_pathc, reterr);
    globfree(&found);
    return status;
}

weir_status verb_test(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = cli->argument_count ? test_files(cli, pipeline, cli->arguments,
                                                          cli->argument_count, reterr)
                                             : find_files(cli, pipeline, reterr);
    weir_pipeline_free(pipeline);
    return status;
}
