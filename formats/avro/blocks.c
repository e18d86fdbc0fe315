/* Container files, block by block, from bytes that come piece by piece. */
#include "formats/avro/avro_int.h"
#include "formats/avro/rows_int.h"

#include <string.h>

struct weir_avro_blocks {
    struct weir_account *account;
    struct weir_buffer schema, block;
    enum avro_codec codec;
    uint8_t sync[16];
};

static weir_status damaged(const struct avro_walk *walk, struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_CORRUPT, "avro: in the header, at %zu: %s", walk->position,
                     walk->fault);
}

/* A pair of the header's map. */
static weir_status take_pair(struct weir_avro_blocks *blocks, struct weir_bytes key,
                             struct weir_bytes value, struct weir_error *reterr)
{
    static const char schema[] = "avro.schema", codec[] = "avro.codec";
    if (key.size == sizeof codec - 1 && memcmp(key.data, codec, key.size) == 0)
        return avro_codec_find(value, &blocks->codec, reterr);
    if (key.size != sizeof schema - 1 || memcmp(key.data, schema, key.size) != 0)
        return WEIR_OK;
    if (value.size > WEIR_AVRO_SCHEMA_SIZE_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "avro: a schema of %zu bytes; at most %u",
                         value.size, WEIR_AVRO_SCHEMA_SIZE_MAX);
    weir_buffer_clear(&blocks->schema);
    return weir_buffer_append(&blocks->schema, value.data, value.size, reterr);
}

static weir_status take_header(struct weir_avro_blocks *blocks, struct avro_walk *walk,
                               struct weir_error *reterr)
{
    struct weir_bytes key, value;
    const uint8_t *sync;
    size_t count;
    do {
        if (!avro_walk_count(walk, &count))
            return damaged(walk, reterr);
        for (size_t i = 0; i < count; i++) {
            if (!avro_walk_text(walk, &key) || !avro_walk_text(walk, &value))
                return damaged(walk, reterr);
            WEIR_TRY(take_pair(blocks, key, value, reterr));
        }
    } while (count);
    if (!avro_walk_run(walk, sizeof blocks->sync, &sync))
        return damaged(walk, reterr);
    memcpy(blocks->sync, sync, sizeof blocks->sync);
    return blocks->schema.size
               ? WEIR_OK
               : weir_fail(reterr, WEIR_CORRUPT, "avro: header without avro.schema");
}

weir_status weir_avro_blocks_open(struct weir_account *account, const uint8_t *data, size_t size,
                                  bool last, struct weir_avro_blocks **ret_blocks, size_t *ret_used,
                                  struct weir_error *reterr)
{
    static const uint8_t magic[4] = {'O', 'b', 'j', 1};
    struct weir_avro_blocks *blocks;
    if (memcmp(data, magic, size < sizeof magic ? size : sizeof magic) != 0 ||
        (last && size < sizeof magic))
        return weir_fail(reterr, WEIR_CORRUPT,
                         "avro: no container file: it does not start with Obj1");
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *blocks, &blocks, reterr));
    blocks->account = account;
    weir_buffer_init(&blocks->schema, account);
    weir_buffer_init(&blocks->block, account);
    struct avro_walk walk = {
        .data = data, .size = size, .position = sizeof magic, .budget = AVRO_ITEMS(size)};
    weir_status status = WEIR_OK;
    if (size < sizeof magic)
        walk.cut = true;
    else
        status = take_header(blocks, &walk, reterr);
    *ret_used = walk.position;
    if (walk.cut && !last && size < 2 * WEIR_AVRO_SCHEMA_SIZE_MAX) {
        *ret_used = 0;
        weir_avro_blocks_free(blocks);
        return WEIR_OK;
    }
    if (status != WEIR_OK)
        weir_avro_blocks_free(blocks);
    else
        *ret_blocks = blocks;
    return status;
}

struct weir_bytes weir_avro_blocks_schema(const struct weir_avro_blocks *blocks)
{
    return (struct weir_bytes){blocks->schema.data, blocks->schema.size};
}

weir_status weir_avro_blocks_next(struct weir_avro_blocks *blocks, const uint8_t *data, size_t size,
                                  bool last, struct weir_bytes *ret_values, uint64_t *ret_count,
                                  size_t *ret_used, struct weir_error *reterr)
{
    struct avro_walk walk = {.data = data, .size = size};
    int64_t count = 0, bytes = 0;
    struct weir_bytes packed = {0};
    const uint8_t *sync = NULL;
    bool whole = avro_walk_long(&walk, &count) && avro_walk_long(&walk, &bytes);
    if (whole && (count < 0 || bytes < 0 || bytes > WEIR_METADATA_SIZE_MAX))
        return weir_fail(reterr, WEIR_CORRUPT, "avro: a block of %lld values in %lld bytes",
                         (long long)count, (long long)bytes);
    packed.size = (size_t)bytes;
    whole = whole && avro_walk_run(&walk, packed.size, &packed.data) &&
            avro_walk_run(&walk, sizeof blocks->sync, &sync);
    *ret_used = whole ? walk.position : 0;
    if (!whole && walk.cut && !last)
        return WEIR_OK;
    if (!whole)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: in a block's head: %s", walk.fault);
    if (memcmp(sync, blocks->sync, sizeof blocks->sync) != 0)
        return weir_fail(reterr, WEIR_CORRUPT, "avro: a block is not followed by the sync marker");
    *ret_count = (uint64_t)count;
    return avro_unpack(blocks->codec, packed, &blocks->block, ret_values, reterr);
}

void weir_avro_blocks_free(struct weir_avro_blocks *blocks)
{
    if (!blocks)
        return;
    weir_buffer_done(&blocks->schema);
    weir_buffer_done(&blocks->block);
    weir_free(blocks);
}
