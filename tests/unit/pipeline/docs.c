/* weir-pipeline-docs SOURCE_ROOT: writes docs/pipeline.schema.json and the key table of
 * docs/pipeline.md from keys.def. */
#include "scheduler/pipeline/pipeline.h"

#include <stdio.h>
#include <string.h>

static bool write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    bool good = file && fwrite(data, 1, size, file) == size;
    return file && fclose(file) == 0 && good;
}

static weir_status replace_table(struct weir_account *account, const char *path,
                                 struct weir_error *reterr)
{
    static char text[1 << 20];
    WEIR_AUTO(weir_buffer) out = {.account = account};
    FILE *file = fopen(path, "r");
    if (!file)
        return weir_fail(reterr, WEIR_IO, "cannot open %s", path);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    const char *start = strstr(text, "| key | value |"), *end = strstr(text, "<!-- /keys -->");
    if (!start || !end)
        return weir_fail(reterr, WEIR_CORRUPT, "%s has no key table", path);
    WEIR_TRY(weir_buffer_append(&out, text, (size_t)(start - text), reterr));
    WEIR_TRY(weir_pipeline_key_table(&out, reterr));
    WEIR_TRY(weir_buffer_append(&out, end, strlen(end), reterr));
    return write_file(path, out.data, out.size)
               ? WEIR_OK
               : weir_fail(reterr, WEIR_IO, "cannot write %s", path);
}

int main(int argument_count, char **arguments)
{
    struct weir_context context;
    struct weir_error error = {0};
    char path[4096];
    if (argument_count != 2) {
        fprintf(stderr, "usage: weir-pipeline-docs SOURCE_ROOT\n");
        return 2;
    }
    weir_context_init(&context);
    struct weir_buffer schema = {.account = &context.memory};
    weir_status status = weir_pipeline_schema(&schema, &error);
    snprintf(path, sizeof path, "%s/docs/pipeline.schema.json", arguments[1]);
    if (status == WEIR_OK && !write_file(path, schema.data, schema.size))
        status = weir_fail(&error, WEIR_IO, "cannot write %s", path);
    weir_buffer_done(&schema);
    snprintf(path, sizeof path, "%s/docs/pipeline.md", arguments[1]);
    if (status == WEIR_OK)
        status = replace_table(&context.memory, path, &error);
    weir_context_done(&context);
    if (status != WEIR_OK)
        fprintf(stderr, "%s\n", error.text);
    return status == WEIR_OK ? 0 : 1;
}
