/* Runs the cases of tests/sql: each *.test file holds statements and what they answer, checked
 * against DuckDB when they were written (check.py). One program runs all files, so that a build
 * with sanitizers gets through them within seconds; meson runs it once for every way there is to
 * run a statement. The form of the files is described in README.md. */
#include "engine/expr/ir.h"
#include "scheduler/query/query.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define VIEWS_MAX    64
#define LINES_MAX    4096 /* of an answer */
#define STATEMENT_MS 60000

struct runner {
    struct weir_context context;
    struct weir_query_options options;
    struct weir_query_session *session;
    struct weir_query_name views[VIEWS_MAX];
    size_t view_count;
    const char *folder;
    bool tap;
    unsigned passed, failed;
};

/* One case, cut out of the file's text. */
struct sql_case {
    const char *file;
    unsigned line;
    char *statement;
    char *wanted[LINES_MAX];
    size_t wanted_count;
};

/* What a statement answered: the rows as lines, each ended by a NUL. */
struct answer {
    struct weir_buffer text, cell;
    const struct weir_type *type;
    size_t rows;
};

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "sql_test: %s: %s\n", what, why);
    exit(2);
}

static char *file_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        give_up(path, "cannot be read");
    long size = ftell(file);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(file);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size)
        give_up(path, "cannot be read");
    text[size] = 0;
    fclose(file);
    return text;
}

/* ---- answers as text ---- */

/* Quotes where a reader, or an editor, would lose something else: nothing, spaces at the ends. */
static weir_status cell_print(struct answer *answer, struct weir_error *reterr)
{
    const char *text = answer->cell.data ? (const char *)answer->cell.data : "";
    size_t size = answer->cell.size;
    bool quoted = size == 0 || text[0] == ' ' || text[size - 1] == ' ' ||
                  (size == 4 && memcmp(text, "NULL", 4) == 0);
    struct weir_buffer *out = &answer->text;
    if (quoted)
        WEIR_TRY(weir_buffer_print(out, reterr, "'"));
    for (size_t i = 0; i < size; i++) {
        const char *special = text[i] ? strchr("\\\n\t\r|", text[i]) : NULL;
        if (text[i] == 0)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\0"));
        else if (special)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c",
                                       "\\ntr|"[strchr("\\\n\t\r|", text[i]) - "\\\n\t\r|"]));
        else
            WEIR_TRY(weir_buffer_append(out, text + i, 1, reterr));
    }
    return quoted ? weir_buffer_print(out, reterr, "'") : WEIR_OK;
}

static weir_status answer_begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    (void)reterr;
    ((struct answer *)self)->type = type;
    return WEIR_OK;
}

static weir_status answer_batch(void *self, const struct weir_batch *batch,
                                struct weir_error *reterr)
{
    struct answer *answer = self;
    for (uint32_t row = 0; row < batch->count; row++) {
        for (uint32_t c = 0; c < batch->type->child_count; c++) {
            struct weir_lane lane = weir_lane_of(&batch->columns[c]);
            if (c)
                WEIR_TRY(weir_buffer_print(&answer->text, reterr, " | "));
            if (!weir_lane_valid(&lane, row)) {
                WEIR_TRY(weir_buffer_print(&answer->text, reterr, "NULL"));
                continue;
            }
            weir_buffer_clear(&answer->cell);
            WEIR_TRY(weir_value_print(&batch->columns[c], row, &answer->cell, reterr));
            WEIR_TRY(cell_print(answer, reterr));
        }
        WEIR_TRY(weir_buffer_append(&answer->text, "", 1, reterr));
    }
    answer->rows += batch->count;
    return WEIR_OK;
}

/* ---- comparison ---- */

/* Sums of doubles depend on their order, so cells that are numbers may differ in the last digits.
 */
static bool cell_equal(const char *got, size_t got_size, const char *want, size_t want_size)
{
    if (got_size == want_size && memcmp(got, want, got_size) == 0)
        return true;
    char a[64], b[64], *a_end, *b_end;
    if (!got_size || !want_size || got_size >= sizeof a || want_size >= sizeof b)
        return false;
    memcpy(a, got, got_size), a[got_size] = 0;
    memcpy(b, want, want_size), b[want_size] = 0;
    if (!strpbrk(a, ".e") && !strpbrk(b, ".e"))
        return false;
    double x = strtod(a, &a_end), y = strtod(b, &b_end);
    return !*a_end && !*b_end && fabs(x - y) <= 1e-12 * fmax(fabs(x), fabs(y));
}

static bool row_equal(const char *got, const char *want)
{
    for (;;) {
        const char *got_end = strstr(got, " | "), *want_end = strstr(want, " | ");
        size_t got_size = got_end ? (size_t)(got_end - got) : strlen(got);
        size_t want_size = want_end ? (size_t)(want_end - want) : strlen(want);
        if (!cell_equal(got, got_size, want, want_size) || !got_end != !want_end)
            return false;
        if (!got_end)
            return true;
        got = got_end + 3;
        want = want_end + 3;
    }
}

static int line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether the statement itself, not a part in parentheses, has an ORDER BY: else rows may come in
 * any order. check.py decides it in the same way. */
static bool ordered(const char *text)
{
    int depth = 0;
    for (; *text; text++) {
        if (*text == '\'' || *text == '"') {
            const char *end = strchr(text + 1, *text);
            if (!end)
                return false;
            text = end;
        } else if (*text == '(') {
            depth++;
        } else if (*text == ')') {
            depth--;
        } else if (depth == 0 && strncasecmp(text, "order by", 8) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- one case ---- */

static void report(struct runner *runner, const struct sql_case *test, bool good)
{
    good ? runner->passed++ : runner->failed++;
    if (runner->tap)
        printf("%sok %u - %s:%u\n", good ? "" : "not ", runner->passed + runner->failed, test->file,
               test->line);
    else if (!good)
        printf("FAIL %s:%u\n", test->file, test->line);
}

static void print_lines(const char *mark, char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("# %s %s\n", mark, lines[i]);
}

static void differ(struct runner *runner, const struct sql_case *test, char *const *got,
                   size_t count)
{
    report(runner, test, false);
    for (const char *at = test->statement; *at;) {
        int size = (int)strcspn(at, "\n");
        printf("#   %.*s\n", size, at);
        at += size + (at[size] == '\n');
    }
    print_lines("want", test->wanted, test->wanted_count);
    print_lines("got ", got, count);
}

static void compare(struct runner *runner, struct sql_case *test, struct answer *answer)
{
    static char *got[LINES_MAX];
    size_t count = answer->rows < LINES_MAX ? answer->rows : LINES_MAX;
    char *at = (char *)answer->text.data;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
        got[i] = at;
    bool same = answer->rows == test->wanted_count;
    if (!ordered(test->statement)) {
        qsort(got, count, sizeof *got, line_order);
        qsort(test->wanted, test->wanted_count, sizeof *test->wanted, line_order);
    }
    for (size_t i = 0; same && i < count; i++)
        same = row_equal(got[i], test->wanted[i]);
    if (same)
        report(runner, test, true);
    else
        differ(runner, test, got, count);
}

/* What runs also tells where its columns come from. */
static weir_status trace(struct runner *runner, const struct sql_case *test,
                         struct weir_error *error)
{
    struct weir_lineage lineage;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &runner->context.memory);
    return strncasecmp(test->statement, "explain", 7) == 0
               ? WEIR_OK
               : weir_query_lineage(runner->session, &arena, test->statement, &lineage, error);
}

static void case_run(struct runner *runner, struct sql_case *test)
{
    struct weir_error error = {0};
    struct answer answer = {.text.account = &runner->context.memory,
                            .cell.account = &runner->context.memory};
    struct weir_query_result result = {answer_begin, answer_batch, &answer};
    runner->context.deadline_steady_ms = weir_steady_ms(&runner->context) + STATEMENT_MS;
    weir_status status = weir_query_run(runner->session, test->statement, &result, NULL, NULL,
                                        &error);
    if (status == WEIR_OK)
        status = trace(runner, test, &error);
    bool refused = test->wanted_count == 1 && strncmp(test->wanted[0], "error: ", 7) == 0;
    if (status == WEIR_OK && !refused) {
        compare(runner, test, &answer);
    } else if (status != WEIR_OK && status != WEIR_INTERNAL && refused &&
               strstr(error.text, test->wanted[0] + 7)) {
        report(runner, test, true);
    } else if (status == WEIR_OK) {
        char *none[] = {(char *)"rows, no error"};
        differ(runner, test, none, 1);
    } else {
        char text[sizeof error.text + 64];
        snprintf(text, sizeof text, "error: %s (%s)", error.text, weir_status_name(status));
        char *lines[] = {text};
        differ(runner, test, lines, 1);
    }
    weir_buffer_done(&answer.text);
    weir_buffer_done(&answer.cell);
}

/* ---- files ---- */

/* The next line, its end made a NUL; NULL at the end of the text. */
static char *line_next(char **at, unsigned *line)
{
    char *start = *at;
    if (!*start)
        return NULL;
    size_t size = strcspn(start, "\n");
    *at = start + size + (start[size] == '\n');
    start[size] = 0;
    ++*line;
    return start;
}

/* Cuts the next case out of the text; false at its end. */
static bool case_next(char **at, unsigned *line, struct sql_case *ret_case)
{
    char *text = NULL;
    ret_case->statement = NULL;
    ret_case->wanted_count = 0;
    while ((text = line_next(at, line)) && strcmp(text, "----") != 0) {
        bool remark = text[0] == '#' || strncmp(text, "-- ", 3) == 0;
        if (!ret_case->statement && (remark || !*text))
            continue;
        if (!ret_case->statement) {
            ret_case->statement = text;
            ret_case->line = *line;
        } else {
            text[-1] = '\n'; /* the statement goes on: lines follow each other in the file */
        }
    }
    if (!text && ret_case->statement)
        give_up(ret_case->file, "the last statement has no answer: run check.py --write");
    if (!text)
        return false;
    if (!ret_case->statement)
        give_up(ret_case->file, "an answer without a statement");
    while ((text = line_next(at, line)) && *text) {
        if (ret_case->wanted_count == LINES_MAX)
            give_up(ret_case->file, "an answer of too many rows");
        ret_case->wanted[ret_case->wanted_count++] = text;
    }
    return true;
}

static void file_run(struct runner *runner, const char *path)
{
    static struct sql_case test;
    const char *slash = strrchr(path, '/');
    test.file = slash ? slash + 1 : path;
    char *text = file_read(path), *at = text;
    unsigned line = 0;
    while (case_next(&at, &line, &test))
        case_run(runner, &test);
    free(text);
}

/* Those that are named, else all of the folder. */
static void files_run(struct runner *runner, int count, char **names)
{
    glob_t all;
    for (int i = 0; i < count; i++)
        file_run(runner, names[i]);
    if (count)
        return;
    if (glob("*.test", 0, NULL, &all) != 0)
        give_up("*.test", "no files of cases");
    for (size_t i = 0; i < all.gl_pathc; i++)
        file_run(runner, all.gl_pathv[i]);
    globfree(&all);
}

/* setup.sql: `CREATE VIEW name AS query;` each; a line `-- duckdb:` is check.py's. Returns its
 * text, which the views point into. */
static char *views_read(struct runner *runner, const char *path)
{
    static const char create[] = "CREATE VIEW ";
    char *text = file_read(path);
    for (char *at = text; (at = strstr(at, create));) {
        bool remark = at > text && at[-1] != '\n';
        at += sizeof create - 1;
        char *as = strstr(at, " AS"), *end = strstr(at, ";\n");
        if (remark)
            continue;
        if (!as || !end || runner->view_count == VIEWS_MAX)
            give_up(path, "it is not CREATE VIEW name AS query;");
        *as = *end = 0;
        runner->views[runner->view_count++] = (struct weir_query_name){.name = at, .sql = as + 3};
        at = end + 1;
    }
    return text;
}

static void options_read(struct runner *runner, int count, char **arguments, int *ret_first)
{
    int i = 1;
    for (; i < count && strncmp(arguments[i], "--", 2) == 0; i++) {
        const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(name, "--tap") == 0) {
            runner->tap = true;
            continue;
        }
        if (strcmp(name, "--unoptimized") == 0) {
            runner->options.unoptimized = true;
            continue;
        }
        i++;
        if (strcmp(name, "--vectors") == 0 && strcmp(value, "constant") == 0)
            runner->options.force = WEIR_CONSTANT;
        else if (strcmp(name, "--vectors") == 0 && strcmp(value, "dictionary") == 0)
            runner->options.force = WEIR_DICTIONARY;
        else if (strcmp(name, "--batch-rows") == 0 && atoi(value) > 0)
            runner->options.batch_rows = (uint32_t)atoi(value);
        else if (strcmp(name, "--threads") == 0 && atoi(value) > 0)
            runner->context.thread_count = (uint32_t)atoi(value);
        else if (strcmp(name, "--folder") == 0 && *value)
            runner->folder = value;
        else
            give_up(name, "usage: sql_test [--folder FOLDER] [--vectors constant|dictionary] "
                          "[--batch-rows N] [--threads N] [--unoptimized] [--tap] [FILE...]");
    }
    *ret_first = i;
}

int main(int count, char **arguments)
{
    static struct runner runner;
    struct weir_error error = {0};
    int first;
    weir_context_init(&runner.context);
    runner.context.thread_count = 1;
    runner.options = (struct weir_query_options){.context = &runner.context,
                                                 .now_micros = 1767225600000000};
    options_read(&runner, count, arguments, &first);
    if (runner.folder && chdir(runner.folder) != 0)
        give_up(runner.folder, "no such folder");
    char *views = views_read(&runner, "setup.sql");
    if (weir_query_session_new(&runner.options, &runner.session, &error) != WEIR_OK)
        give_up("session", error.text);
    weir_query_names_set(runner.session, runner.views, runner.view_count);
    files_run(&runner, count - first, arguments + first);
    weir_query_session_free(runner.session);
    free(views);
    if (runner.context.memory.used != 0) {
        fprintf(stderr, "%zu bytes were kept\n", (size_t)runner.context.memory.used);
        runner.failed++;
    }
    weir_context_done(&runner.context);
    if (runner.tap)
        printf("1..%u\n", runner.passed + runner.failed);
    printf("%s%u passed, %u failed\n", runner.tap ? "# " : "", runner.passed, runner.failed);
    return runner.failed || !runner.passed ? 1 : 0;
}
