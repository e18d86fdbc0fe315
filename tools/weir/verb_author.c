/* init, validate, config: what needs no service. */
#include "tools/weir/cli.h"

#include "formats/json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAMPLE_SIZE    (64u << 20)
#define SAMPLE_RECORDS 100000

static void print_problem(void *argument, const struct weir_error *error)
{
    fprintf(stderr, "%s\n", error->text);
    if (*error->hint)
        fprintf(stderr, "  %s\n", error->hint);
}

/* Columns that have a class, and how they came to it. */
static weir_status list_classes(struct cli *cli, const struct weir_graph *graph, json_t *rows,
                                struct weir_error *reterr)
{
    for (size_t i = 0; graph && i < weir_graph_count(graph); i++) {
        const struct weir_graph_table *table = weir_graph_at(graph, i);
        for (uint32_t c = 0; c < table->column_count; c++) {
            const struct weir_graph_column *column = &table->columns[c];
            WEIR_AUTO(weir_buffer) path = {.account = &cli->context->memory};
            if (column->class_ == WEIR_CLASS_NONE)
                continue;
            WEIR_TRY(weir_graph_path(table, c, &path, reterr));
            json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s%}", "table",
                                                  table->name, "column", column->name, "class",
                                                  weir_class_name(column->class_), "subject",
                                                  column->subject ? column->subject : "", "lineage",
                                                  (const char *)path.data, path.size));
        }
    }
    return WEIR_OK;
}

static weir_status print_good(struct cli *cli, const struct weir_pipeline *pipeline,
                              const struct weir_graph *graph, struct weir_error *reterr)
{
    static const char *const columns[] = {"table", "column", "class", "subject", "lineage", NULL};
    size_t tables = pipeline->table_count + pipeline->model_count;
    json_t *rows = json_array();
    weir_status status = list_classes(cli, graph, rows, reterr);
    if (status == WEIR_OK && cli->output == OUTPUT_TABLE) {
        printf("%s: good (%zu sources, %zu tables)\n", pipeline->file, pipeline->source_count,
               tables);
        if (json_array_size(rows))
            status = cli_rows(cli, rows, columns, reterr);
    } else if (status == WEIR_OK) {
        json_t *told = json_pack("{s:s, s:I, s:I, s:b, s:O}", "file", pipeline->file, "sources",
                                 (json_int_t)pipeline->source_count, "tables", (json_int_t)tables,
                                 "valid", 1, "classes", rows);
        json_dumpf(told, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        printf("\n");
        json_decref(told);
    }
    json_decref(rows);
    return status;
}

weir_status verb_validate(struct cli *cli, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) out = {.account = &cli->context->memory};
    if (cli->schema) {
        WEIR_TRY(weir_pipeline_schema(&out, reterr));
        fwrite(out.data, 1, out.size, stdout);
        return WEIR_OK;
    }
    struct weir_pipeline *pipeline;
    struct weir_graph *graph;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    size_t problems = weir_pipeline_check(cli->context, pipeline, print_problem, NULL) +
                      weir_models_check(cli->context, pipeline, print_problem, NULL, &graph);
    for (size_t i = 1; i < pipeline->lake_count && !problems; i++) { /* each has its policies */
        struct weir_graph *other;
        problems = weir_models_check(cli->context, &pipeline->lakes[i], print_problem, NULL,
                                     &other);
        weir_graph_free(other);
        if (problems)
            fprintf(stderr, "weir: in the lake of tenant %s\n", pipeline->lakes[i].tenant);
    }
    weir_status status = problems ? weir_fail(reterr, WEIR_USAGE, "%s: %zu problems",
                                              pipeline->file, problems)
                                  : print_good(cli, pipeline, graph, reterr);
    weir_graph_free(graph);
    weir_pipeline_free(pipeline);
    return status;
}

weir_status verb_config(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    WEIR_AUTO(weir_buffer) out = {.account = &cli->context->memory};
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = weir_pipeline_print(pipeline, &out, reterr);
    weir_pipeline_free(pipeline);
    if (status == WEIR_OK)
        fwrite(out.data, 1, out.size, stdout);
    return status;
}

/* ---- init ---- */

static weir_status read_sample(struct cli *cli, const char *path, struct weir_buffer *ret_text,
                               struct weir_error *reterr)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s", path, strerror(errno));
    weir_status status = WEIR_OK;
    char piece[65536];
    size_t got;
    while (status == WEIR_OK && ret_text->size < SAMPLE_SIZE &&
           (got = fread(piece, 1, sizeof piece, file)) > 0)
        status = weir_buffer_append(ret_text, piece, got, reterr);
    if (status == WEIR_OK && ferror(file))
        status = weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
    if (file != stdin)
        fclose(file);
    return status;
}

static bool is_blank(const uint8_t *line, size_t size)
{
    size_t at = 0;
    while (at < size && memchr(" \t\r\n", line[at], 4))
        at++;
    return at == size;
}

static weir_status split_lines(struct weir_arena *arena, const struct weir_buffer *text,
                               struct weir_bytes **ret_records, size_t *ret_count,
                               struct weir_error *reterr)
{
    struct weir_bytes *records;
    size_t count = 0;
    WEIR_TRY(weir_arena_zero(arena, SAMPLE_RECORDS, sizeof *records, &records, reterr));
    size_t at = text->size >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < text->size && count < SAMPLE_RECORDS) {
        const uint8_t *line = text->data + at, *end = memchr(line, '\n', text->size - at);
        if (!end && text->size >= SAMPLE_SIZE)
            break; /* cut in the middle by the sample's size */
        size_t size = end ? (size_t)(end - line) : text->size - at;
        if (!is_blank(line, size))
            records[count++] = (struct weir_bytes){line, size};
        at += size + 1;
    }
    *ret_records = records;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status infer(struct cli *cli, struct weir_arena *arena, const char *name,
                         struct weir_buffer *out, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = &cli->context->memory};
    struct weir_bytes *records;
    size_t count;
    struct weir_type schema;
    char table[300], path[PATH_MAX];
    WEIR_TRY(read_sample(cli, cli->from, &text, reterr));
    WEIR_TRY(weir_buffer_append(&text, "\n", 1, reterr));
    WEIR_TRY(split_lines(arena, &text, &records, &count, reterr));
    if (count == 0)
        return weir_fail(reterr, WEIR_USAGE, "%s holds no records", cli->from);
    weir_status status = weir_json_infer(arena, records, count, &schema, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s", cli->from);
        return status;
    }
    snprintf(table, sizeof table, "bronze.%s", name);
    bool is_file = strcmp(cli->from, "-") != 0 && realpath(cli->from, path);
    char comment[200];
    snprintf(comment, sizeof comment,
             "columns inferred from %zu records; check them, above all what is required", count);
    struct weir_pipeline_sketch sketch = {.name = name,
                                          .table = table,
                                          .files = is_file ? path : NULL,
                                          .topic = is_file ? NULL : name,
                                          .columns = &schema,
                                          .comment = comment};
    return weir_pipeline_from_type(&sketch, out, reterr);
}

/* A name made of the folder's or the sample's: letters, digits, _ */
static void name_of(const char *text, char *name, size_t size)
{
    const char *base = strrchr(text, '/');
    size_t at = 0;
    for (base = base ? base + 1 : text; *base && *base != '.' && at + 1 < size; base++)
        name[at++] = (*base >= 'a' && *base <= 'z') || (*base >= '0' && *base <= '9') ? *base
                     : *base >= 'A' && *base <= 'Z' ? (char)(*base + 32)
                                                    : '_';
    name[at] = '\0';
    if (at == 0 || (name[0] >= '0' && name[0] <= '9'))
        snprintf(name, size, "pipeline");
}

static weir_status write_new(const char *path, const struct weir_buffer *text, bool overwrite,
                             struct weir_error *reterr)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (overwrite ? O_TRUNC : O_EXCL), 0644);
    if (file < 0 && errno == EEXIST) {
        weir_status status = weir_fail(reterr, WEIR_USAGE, "%s is there already", path);
        weir_error_hint(reterr, "--yes overwrites it");
        return status;
    }
    if (file < 0)
        return weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
    size_t at = 0;
    while (at < text->size) {
        ssize_t put = write(file, text->data + at, text->size - at);
        if (put < 0 && errno != EINTR) {
            weir_status status = weir_fail(reterr, errno == ENOSPC ? WEIR_NO_SPACE : WEIR_IO,
                                           "%s: %s", path, strerror(errno));
            close(file);
            return status;
        }
        at += put > 0 ? (size_t)put : 0;
    }
    if (close(file) != 0)
        return weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
    return WEIR_OK;
}

/* Models and reference files of a template; those that are there already stay as they are. */
static weir_status write_template(struct cli *cli, const char *directory, struct weir_error *reterr)
{
    size_t count;
    const struct weir_template_file *files = weir_pipeline_template_files(&count);
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX + 64];
        WEIR_AUTO(weir_buffer) text = {.account = &cli->context->memory};
        snprintf(path, sizeof path, "%s/%s", directory, files[i].path);
        *strrchr(path, '/') = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return weir_fail(reterr, WEIR_IO, "%s: %s", path, strerror(errno));
        snprintf(path, sizeof path, "%s/%s", directory, files[i].path);
        if (!cli->yes && access(path, F_OK) == 0)
            continue;
        WEIR_TRY(weir_buffer_append(&text, files[i].text, strlen(files[i].text), reterr));
        WEIR_TRY(write_new(path, &text, true, reterr));
    }
    return WEIR_OK;
}

weir_status verb_init(struct cli *cli, struct weir_error *reterr)
{
    const char *directory = cli->argument_count ? cli->arguments[0] : ".";
    char absolute[PATH_MAX], name[200], path[PATH_MAX + 16];
    bool made = false;
    if (cli->argument_count > 1)
        return weir_fail(reterr, WEIR_USAGE, "weir init takes one folder");
    if (cli->from && cli->template_name)
        return weir_fail(reterr, WEIR_USAGE, "give --from or --template, not both");
    if (mkdir(directory, 0755) == 0)
        made = true;
    else if (errno != EEXIST)
        return weir_fail(reterr, WEIR_IO, "%s: %s", directory, strerror(errno));
    if (!realpath(directory, absolute))
        return weir_fail(reterr, WEIR_IO, "%s: %s", directory, strerror(errno));
    name_of(cli->from && strcmp(cli->from, "-") != 0 ? cli->from : absolute, name, sizeof name);
    WEIR_AUTO(weir_buffer) text = {.account = &cli->context->memory};
    struct weir_arena arena;
    weir_arena_init(&arena, &cli->context->memory);
    weir_status status = cli->from
                             ? infer(cli, &arena, name, &text, reterr)
                             : weir_pipeline_template(
                                   cli->template_name ? cli->template_name : "inventory",
                                   cli->template_name || cli->argument_count ? name : "inventory",
                                   &text, reterr);
    weir_arena_done(&arena);
    snprintf(path, sizeof path, "%s/weir.yaml", directory);
    if (status == WEIR_OK)
        status = write_new(path, &text, cli->yes, reterr);
    if (status == WEIR_OK && !cli->from)
        status = write_template(cli, directory, reterr);
    if (status == WEIR_OK)
        printf("%s written; next: weir validate -p %s, weir plan, weir run\n", path, path);
    else if (made)
        rmdir(directory); /* only when nothing is in it */
    return status;
}
