# refine: maps become pseudo masks.


rule make_masks:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        maps=rules.make_maps.output.maps,
    output:
        masks=directory("results/{experiment}/refine/masks/{split}/{shard}"),
    log:
        "logs/{experiment}/refine/masks/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/refine/masks/{split}/{shard}.tsv"
    conda:
        "../../environment.yml"
    # The CRF has one thread of its own, so this is the number of processes.
    threads: 8
    resources:
        gpu=0,
        mem_mb=4000,
        runtime=240,
    params:
        settings=settings("refine"),
        root=dataset_root,
        code=code_of("stages.refine.make_masks"),
    shell:
        "python -m stages.refine.make_masks --settings {params.settings:q} --index {input.index} --root {params.root:q}"
        " --maps {input.maps} --processes {threads} --output {output.masks} &> {log}"
