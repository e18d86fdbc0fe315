/* libFuzzer: any bytes as a CSV file: sniffed, cut, decoded with what was found out and as every
 * type. Records are neither lost nor made up. */
#include "formats/csv/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "csv_fuzz: %s\n", what);
        abort();
    }
}

static void decode(struct weir_account *account, struct weir_arena *arena,
                   const struct weir_type *schema, const uint32_t *fields,
                   const struct weir_csv_dialect *dialect, const uint8_t *data, size_t size)
{
    struct weir_csv_decoder *decoder;
    struct weir_bytes records[512];
    struct weir_decoded decoded;
    size_t used;
    uint32_t count = weir_csv_split(dialect, data, size, true, records, 512, &used);
    check(used <= size && (count == 512 || used == size), "bytes are left");
    const char **names;
    uint32_t name_count = 0;
    if (count && weir_csv_names(arena, dialect, records[0], &names, &name_count, NULL) == WEIR_OK)
        check(name_count > 0, "a header without a name");
    check(weir_csv_decoder_new(account, schema, fields, dialect, &decoder, NULL) == WEIR_OK,
          "no decoder");
    check(weir_csv_decode(decoder, records, count, arena, &decoded, NULL) == WEIR_OK, "failed");
    check(decoded.batch.count + decoded.refusal_count == count, "records are lost");
    for (uint32_t c = 0; c < schema->child_count; c++)
        check(decoded.batch.columns[c].count == decoded.batch.count, "columns differ");
    weir_csv_decoder_free(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char types[] = "struct<a:boolean, b:int, c:long, d:float, e:double, "
                                "f:decimal(12,3), g:date, h:time, i:timestamp, j:timestamptz, "
                                "k:string, l:uuid, m:fixed(3), n:binary>";
    static const uint32_t fields[14] = {0, 1, 0, 1, 0, 1, WEIR_CSV_NO_FIELD,
                                        1, 0, 1, 0, 1, 0, WEIR_CSV_NO_FIELD};
    struct weir_csv_dialect dialect;
    struct weir_account account;
    struct weir_arena arena;
    struct weir_type schema;
    weir_account_init(&account, NULL, "fuzz", 0);
    weir_arena_init(&arena, &account);
    if (weir_csv_sniff(&arena, data, size, size & 1, NULL, &dialect, &schema, NULL) == WEIR_OK) {
        decode(&account, &arena, &schema, NULL, &dialect, data, size);
        check(weir_type_parse(&arena, types, &schema, NULL) == WEIR_OK, "types");
        dialect.column_count = 2;
        decode(&account, &arena, &schema, fields, &dialect, data, size);
    }
    weir_arena_done(&arena);
    check(atomic_load(&account.used) == 0, "memory is left");
    return 0;
}
