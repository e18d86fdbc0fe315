/* Functions: other. */
#include "engine/expr/function_int.h"

const struct weir_function functions_other[] = {
    {0},
};
