"""What holds for all tests: full precision, on whatever machine they run."""

import os

# With bfloat16 in hardware the stages compute in it, and equations could be tested to three digits only. The limit
# holds for the programs that tests start, too; it must be set before torch asks the processor.
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
