/* libFuzzer: any bytes as a Parquet file. The reader must answer with a status, whatever the footer
 * and the pages say, and take no more memory than its account allows. Seeds: `parquet_sample`
 * files, and pyarrow's without checksums. */
#include "tests/unit/parquet/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_account account;
    static struct weir_arena types;
    static struct weir_type *schema;
    struct weir_error error;
    if (!schema) {
        weir_account_init(&account, NULL, "fuzz", (size_t)64 << 20);
        weir_arena_init(&types, &account);
        schema = sample_schema(&types);
    }
    struct weir_buffer file = {.account = &account};
    size_t before = account.used;
    sample_must(weir_buffer_append(&file, data, size, &error), &error);
    struct weir_parquet_reader *reader = NULL;
    struct weir_arena arena;
    weir_arena_init(&arena, &account);
    weir_status status = weir_parquet_reader_new(&account, file_source(&file), schema, &reader,
                                                 &error);
    uint64_t rows = 0;
    while (status == WEIR_OK && rows < 10000) {
        struct weir_batch batch;
        weir_arena_reset(&arena);
        status = weir_parquet_reader_next(reader, 100, &arena, &batch, &error);
        if (status != WEIR_OK || batch.count == 0)
            break;
        rows += batch.count;
    }
    weir_parquet_reader_free(reader);
    weir_arena_done(&arena);
    weir_buffer_done(&file);
    if (account.used != before)
        abort();
    return 0;
}
