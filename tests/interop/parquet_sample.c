/* Writes a Parquet file of sample rows and the same rows as text, for foreign readers to be
 * compared with; or reads a file that somebody else wrote of them, and prints the rows. */
#include "tests/unit/parquet/file.h"

static weir_status write_file(void *self, const void *data, size_t size, struct weir_error *reterr)
{
    if (fwrite(data, 1, size, self) != size)
        return weir_fail(reterr, WEIR_IO, "write failed");
    return WEIR_OK;
}

static int read_back(const char *name)
{
    struct weir_account account;
    struct weir_arena arena;
    struct weir_error error;
    weir_account_init(&account, NULL, "sample", 0);
    weir_arena_init(&arena, &account);
    WEIR_AUTO(weir_buffer) bytes = {.account = &account};
    FILE *file = fopen(name, "rb");
    char piece[4096], *text;
    size_t size;
    if (!file)
        return 1;
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        sample_must(weir_buffer_append(&bytes, piece, size, &error), &error);
    fclose(file);
    sample_must(file_print(&account, &bytes, sample_schema(&arena), 700, &text, &size, &error),
                &error);
    fwrite(text, 1, size, stdout);
    free(text);
    weir_arena_done(&arena);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_back(argv[2]);
    if (argc != 8) {
        fprintf(stderr,
                "usage: %s FILE.parquet ROWS.text ROWS SEED CODEC ROW_GROUP_SIZE PAGE_SIZE | read "
                "FILE.parquet\n",
                argv[0]);
        return 2;
    }
    struct weir_context context;
    struct weir_error error;
    weir_context_init(&context);
    context.thread_count = 2;
    struct weir_arena arena, rows;
    weir_arena_init(&arena, &context.memory);
    weir_arena_init(&rows, &context.memory);
    struct weir_type *schema = sample_schema(&arena);
    struct sample_random random = {strtoull(argv[4], NULL, 10)};
    static const int32_t blooms[] = {3, 13, 14}, hidden[] = {16};
    struct weir_parquet_options options = {.codec = (enum weir_codec)atoi(argv[5]),
                                           .row_group_size = strtoull(argv[6], NULL, 10),
                                           .page_size = strtoull(argv[7], NULL, 10),
                                           .bloom_ids = blooms,
                                           .bloom_count = 3,
                                           .no_bounds_ids = hidden,
                                           .no_bounds_count = 1,
                                           .created_by = "weir version test"};
    FILE *file = fopen(argv[1], "wb"), *text = fopen(argv[2], "w");
    if (!file || !text)
        return 1;
    struct weir_parquet_writer *writer;
    struct weir_parquet_result result;
    sample_must(weir_parquet_writer_new(&context, &context.memory, schema, &options,
                                        (struct weir_parquet_sink){write_file, file}, &writer,
                                        &error),
                &error);
    uint32_t count = (uint32_t)atoi(argv[3]);
    for (uint32_t at = 0; at < count;) {
        uint32_t here = count - at > 1000 ? 1000 : count - at;
        weir_arena_reset(&rows);
        struct weir_batch batch = sample_batch(&rows, schema, here, at, &random);
        for (uint32_t i = 0; i < here; i++)
            sample_print_row(&batch, i, text);
        sample_must(weir_parquet_writer_add(writer, &batch, NULL, &error), &error);
        at += here;
    }
    sample_must(weir_parquet_writer_finish(writer, &result, &error), &error);
    printf("%llu rows, %llu bytes, %zu row groups, peak %zu\n",
           (unsigned long long)result.row_count, (unsigned long long)result.file_size,
           result.split_count, (size_t)context.memory.peak);
    weir_parquet_writer_free(writer);
    weir_arena_done(&arena);
    weir_arena_done(&rows);
    fclose(file);
    fclose(text);
    weir_context_done(&context);
    return 0;
}
