-- Prints what wrk's own report leaves out, for benches/compare.
done = function(summary, latency)
  for _, percent in ipairs({ 50, 99, 99.9 }) do
    io.write(string.format("latency %g %.3f ms\n", percent, latency:percentile(percent) / 1000))
  end
end
