CREATE TABLE "t" (
  "value" Float64,
  _row UInt64 MATERIALIZED rowNumberInAllBlocks()
)
ENGINE=MergeTree
ORDER BY _row
