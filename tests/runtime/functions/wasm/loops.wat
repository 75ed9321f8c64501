;; Loops that only the deadline ends, each in another place: the module's own code, memory.fill and
;; memory.copy (the C library's code), host functions. And what a call finds of the one before: nothing.
;; The query's first letter says which.
(module
  (import "weir" "request_text" (func $text (param i32 i32 i32) (result i32)))
  (import "weir" "response_write" (func $write (param i32 i32) (result i32)))
  (import "weir" "sleep_ms" (func $sleep (param i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (memory (export "memory") 4 64)
  (global $calls (mut i32) (i32.const 0))
  (table $table 2 8 funcref)
  (elem declare func $digit)
  (data (i32.const 8192) "5")

  ;; Write one digit of the answer.
  (func $digit (param $value i32)
    (i32.store8 (i32.const 64) (i32.add (i32.const 48) (local.get $value)))
    (drop (call $write (i32.const 64) (i32.const 1))))

  ;; Everything that a call can change, and then what it finds: "11156351" in the first call and any other.
  (func $state
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 4096) (i32.add (i32.load8_u (i32.const 4096)) (i32.const 1)))
    (i32.store8 (i32.const 200000) (i32.add (i32.load8_u (i32.const 200000)) (i32.const 1)))
    (drop (memory.grow (i32.const 1)))
    (i32.store8 (i32.const 262144) (i32.add (i32.load8_u (i32.const 262144)) (i32.const 1)))
    (i32.store8 (i32.const 8192) (i32.add (i32.load8_u (i32.const 8192)) (i32.const 1)))
    (drop (table.grow $table (ref.func $digit) (i32.const 1)))
    (call $digit (global.get $calls))
    (call $digit (i32.load8_u (i32.const 4096)))
    (call $digit (i32.load8_u (i32.const 200000)))
    (call $digit (memory.size))
    (call $digit (i32.sub (i32.load8_u (i32.const 8192)) (i32.const 48)))
    (call $digit (table.size $table))
    (call $digit (ref.is_null (table.get $table (i32.const 0))))
    (table.set $table (i32.const 0) (ref.func $digit))
    (call $digit (i32.load8_u (i32.const 262144))))

  (func (export "weir_handle") (result i32)
    (local $which i32)
    (i32.store (i32.const 32) (i32.const 65536))
    (i32.store (i32.const 36) (i32.const 65536))
    (drop (call $text (i32.const 2) (i32.const 16) (i32.const 16)))
    (local.set $which (i32.load8_u (i32.const 16)))
    (if (i32.eq (local.get $which) (i32.const 0x78)) (then (call $state) (return (i32.const 0)))) ;; x
    (loop $again
      (if (i32.eq (local.get $which) (i32.const 0x66)) ;; f
        (then (memory.fill (i32.const 65536) (i32.const 7) (i32.const 131072))))
      (if (i32.eq (local.get $which) (i32.const 0x63)) ;; c
        (then (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 131072))))
      (if (i32.eq (local.get $which) (i32.const 0x77)) ;; w
        (then (drop (call $fd_write (i32.const 2) (i32.const 32) (i32.const 1) (i32.const 40)))))
      (if (i32.eq (local.get $which) (i32.const 0x72)) ;; r
        (then (drop (call $random (i32.const 65536) (i32.const 131072)))))
      (if (i32.eq (local.get $which) (i32.const 0x74)) ;; t
        (then (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 40)))))
      (if (i32.eq (local.get $which) (i32.const 0x67)) ;; g
        (then (drop (memory.grow (i32.const 0)))))
      (if (i32.eq (local.get $which) (i32.const 0x7a)) ;; z
        (then (drop (call $sleep (i64.const 1)))))
      (if (i32.eq (local.get $which) (i32.const 0x61)) ;; a
        (then (drop (call $write (i32.const 65536) (i32.const 65536)))))
      (br $again))
    (unreachable)))
