# provenance: what must be known to make the results again. Written last, when the scores are there.


rule write_provenance:
    input:
        **dataset(),
        indexes=expand("results/{{experiment}}/data/{split}.csv", split=SPLITS),
        scores=lambda wildcards: scores(bound=False) + localization_scores(),
        inputs=lambda wildcards: frozen_weights(),
        localizer=rules.train_localizer.output.localizer,
        text=rules.embed_text.output.text,
        segmenter="results/{experiment}/segment/pseudo_masks/segmenter.safetensors",
    output:
        provenance="results/{experiment}/provenance.json",
    log:
        "logs/{experiment}/provenance.log",
    benchmark:
        "results/{experiment}/benchmarks/report/provenance.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(2000),
        runtime=120,
    params:
        config=experiment.model_dump_json(),
        results=lambda wildcards: f"results/{wildcards.experiment}",
        root=dataset_root,
        code=code_of("stages.report.write_provenance"),
    shell:
        "python -m stages.report.write_provenance --config {params.config:q}"
        " --results {params.results} --root {params.root:q} --indexes {input.indexes} --inputs {input.inputs}"
        " --outputs {input.text} {input.localizer} {input.segmenter} {input.scores} --output {output.provenance} &> {log}"
